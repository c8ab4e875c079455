"""The child of ``small_picture``: in a jail, with the system's Python and nothing of ours.

It reads a PNG or PPM from the socket whose number it is given, and writes a small PNG there.
"""

import ctypes
import re
import socket
import struct
import sys
import zlib

DOTS_MAX = 16 << 20  # of a screen: more would not fit into this child's memory
WIDTH_MAX = HEIGHT_MAX = 640
RGB = 2  # PNG_FORMAT_RGB
Dots = tuple[int, int, bytes]  # width, height, and three bytes a dot


class Image(ctypes.Structure):
    """png_image of libpng 1.6."""

    _fields_ = (
        ("opaque", ctypes.c_void_p),
        *((name, ctypes.c_uint32) for name in ("version", "width", "height", "format", "flags")),
        ("colors", ctypes.c_uint32),
        ("warning", ctypes.c_uint32),
        ("message", ctypes.c_char * 64),
    )


def read_png(data: bytes) -> Dots:
    """The dots of a PNG."""
    png, image = ctypes.CDLL("libpng16.so.16"), Image(version=1)
    size = ctypes.c_size_t(len(data))
    if not png.png_image_begin_read_from_memory(ctypes.byref(image), data, size):
        sys.exit(2)
    image.format = RGB
    check_size(image.width, image.height)
    dots = ctypes.create_string_buffer(image.width * image.height * 3)
    if not png.png_image_finish_read(ctypes.byref(image), None, dots, 0, None):
        sys.exit(2)
    return image.width, image.height, dots.raw


def read_ppm(data: bytes) -> Dots:
    """The dots of a PPM with one byte a color."""
    head = re.match(rb"P6\s+(\d{1,5})\s+(\d{1,5})\s+255\s", data)
    if not head:
        sys.exit(2)
    width, height = int(head[1]), int(head[2])
    check_size(width, height)
    dots = data[head.end() : head.end() + width * height * 3]
    return (width, height, dots) if len(dots) == width * height * 3 else sys.exit(2)


def check_size(width: int, height: int) -> None:
    """End this process if a screen is too large."""
    if not 0 < width * height <= DOTS_MAX:
        sys.exit(2)


def average(one: bytes, other: bytes) -> bytes:
    """The average of each byte of two strings, as of two long numbers without carries."""
    size = len(one)
    a, b = int.from_bytes(one, "little"), int.from_bytes(other, "little")
    mask = int.from_bytes(b"\xfe" * size, "little")
    return ((a & b) + (((a ^ b) & mask) >> 1)).to_bytes(size, "little")


def halve(width: int, height: int, dots: bytes) -> Dots:
    """Each four dots become one. An odd last row or column is left out."""
    row, rows = width * 3, height // 2
    even = width // 2 * 6
    starts = range(0, 2 * rows * row, 2 * row)
    upper = b"".join(dots[at : at + even] for at in starts)
    lower = b"".join(dots[at + row : at + row + even] for at in starts)
    tall, small = average(upper, lower), bytearray(len(upper) // 2)
    for color in range(3):
        small[color::3] = average(tall[color::6], tall[color + 3 :: 6])
    return width // 2, rows, bytes(small)


def png_of(width: int, height: int, dots: bytes) -> bytes:
    """A PNG of the dots."""
    row = width * 3
    lines = b"".join(b"\0" + dots[n * row : (n + 1) * row] for n in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines, 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def main() -> None:
    """Read, make small, write."""
    with socket.socket(fileno=int(sys.argv[1])) as parent:
        with parent.makefile("rb") as file:
            data = file.read()
        width, height, dots = (read_ppm if data[:2] == b"P6" else read_png)(data)
        while max(width / WIDTH_MAX, height / HEIGHT_MAX) > 1 and min(width, height) > 1:
            width, height, dots = halve(width, height, dots)
        parent.sendall(png_of(width, height, dots))


if __name__ == "__main__":
    main()
