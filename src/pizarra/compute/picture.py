"""The screen of a machine of the memory driver: a plain desktop with its number, as PNG."""

from __future__ import annotations

import struct
import zlib

WIDTH, HEIGHT = 320, 200
# letters of 5x7 dots; each row has five bits
_FONT = {
    "0": (14, 17, 19, 21, 25, 17, 14), "1": (4, 12, 4, 4, 4, 4, 14), "2": (14, 17, 1, 6, 8, 16, 31),
    "3": (31, 2, 4, 2, 1, 17, 14), "4": (2, 6, 10, 18, 31, 2, 2), "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (6, 8, 16, 30, 17, 17, 14), "7": (31, 1, 2, 4, 8, 8, 8), "8": (14, 17, 17, 14, 17, 17, 14),
    "9": (14, 17, 17, 15, 1, 2, 12), "-": (0, 0, 0, 31, 0, 0, 0),
}  # fmt: skip


def desktop(number_text: str, seed: int) -> bytes:
    """A PNG with the digits of a seat's name on a colour that ``seed`` chooses."""
    base = (40 + seed * 37 % 80, 60 + seed * 53 % 70, 80 + seed * 71 % 90)
    rows = [bytearray(bytes(base) * WIDTH) for _ in range(HEIGHT)]
    for row in rows[: HEIGHT // 12]:  # a panel
        row[:] = bytes((235, 235, 230)) * WIDTH
    for place, letter in enumerate(number_text):
        for y, bits in enumerate(_FONT.get(letter, ())):
            for x in range(5):
                if bits & (16 >> x):
                    _square(rows, 40 + place * 72 + x * 12, 60 + y * 12)
    return _png(rows)


def _square(rows: list[bytearray], left: int, top: int) -> None:
    for row in rows[top : min(top + 12, HEIGHT)]:
        if left + 12 <= WIDTH:
            row[left * 3 : (left + 12) * 3] = b"\xff" * 36


def _png(rows: list[bytearray]) -> bytes:
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 6)
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in parts)


def _chunk(kind: bytes, body: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + check
