"""A guest chooses what its screen is: how large, and, with a QEMU taken over, what is sent."""

from __future__ import annotations

import os
import struct
import threading
import zlib

import pytest

from pizarra.agent.pictures import Pictures
from pizarra.compute.picture import desktop
from pizarra.compute.small_picture import PICTURE_BYTES_MAX, make_small, receive_picture
from pizarra.compute.small_picture_child import average
from pizarra.errors import ComputeFault


def png(width: int, height: int, data: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def plain(width: int, height: int) -> bytes:
    """A PNG of one color; of any size it is a few KiB."""
    compressor = zlib.compressobj(9)
    row = b"\0" + b"\x40\x80\xc0" * width
    data = b"".join(compressor.compress(row) for _ in range(height)) + compressor.flush()
    return png(width, height, data)


def size_of(picture: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


def colors_of(picture: bytes) -> set[bytes]:
    width, height = size_of(picture)
    at, data = 8, b""
    while at < len(picture):
        size, kind = struct.unpack(">I4s", picture[at : at + 8])
        data += picture[at + 8 : at + 8 + size] if kind == b"IDAT" else b""
        at += 12 + size
    lines, row = zlib.decompress(data), 1 + 3 * width
    return {
        lines[y * row + 1 + x : y * row + 4 + x]
        for y in range(height)
        for x in range(0, 3 * width, 3)
    }


@pytest.mark.parametrize("picture", ["png", "ppm"])
def test_screen_when_it_is_large_then_its_picture_is_small_and_has_its_colors(picture: str) -> None:
    data = b"P6\n1921 1081\n255\n" + b"\x40\x80\xc0" * 1921 * 1081
    small = make_small(plain(1921, 1081) if picture == "png" else data)
    assert size_of(small) == (480, 270)
    assert colors_of(small) == {b"\x40\x80\xc0"}


def test_screen_when_it_is_small_then_its_dots_are_as_they_were() -> None:
    picture = desktop("7", 7)
    assert (size_of(make_small(picture)), colors_of(make_small(picture))) == (
        size_of(picture),
        colors_of(picture),
    )


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(plain(16384, 16384), id="too many dots"),
        pytest.param(plain(100_000, 1000), id="too wide"),
        pytest.param(png(1 << 30, 1 << 30, b""), id="a lie about its size"),
        pytest.param(plain(800, 600)[:-100], id="cut off"),
        pytest.param(png(800, 600, os.urandom(10_000)), id="nonsense inside"),
        pytest.param(b"P6\n800 600\n255\nshort", id="a short PPM"),
        pytest.param(b"P6\n99999 99999\n255\n", id="a large PPM"),
        pytest.param(b"P6\n0 0\n255\n", id="no dots"),
        pytest.param(b"", id="nothing"),
        pytest.param(os.urandom(100_000), id="noise"),
    ],
)
def test_screen_when_it_cannot_be_shown_then_an_error_of_ours(picture: bytes) -> None:
    with pytest.raises(ComputeFault, match="cannot be read"):
        make_small(picture)


class Endless:
    """A stream of libvirt with a picture that has no end."""

    sent = 0
    is_aborted = False

    def recv(self, size: int) -> bytes:
        self.sent += size
        return bytes(size)

    def abort(self) -> None:
        self.is_aborted = True


def test_picture_when_it_has_no_end_then_it_is_not_taken() -> None:
    stream = Endless()
    with pytest.raises(ComputeFault, match="too large"):
        receive_picture(stream)
    assert stream.is_aborted
    assert stream.sent < PICTURE_BYTES_MAX + (1 << 20)


def test_picture_when_many_ask_at_once_then_it_is_drawn_once() -> None:
    drawn: list[str] = []
    begin = threading.Barrier(20)
    pictures = Pictures(lambda uuid: drawn.append(uuid) or b"picture")  # type: ignore[func-returns-value]

    def ask() -> None:
        begin.wait()
        assert pictures.of("a") == b"picture"

    asking = [threading.Thread(target=ask) for _ in range(20)]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    assert drawn == ["a"]


def test_picture_when_it_cannot_be_read_then_it_is_not_tried_for_each_who_looks() -> None:
    drawn: list[str] = []

    def draw(uuid: str) -> bytes:
        drawn.append(uuid)
        raise ComputeFault("The picture of the screen cannot be read.")

    pictures = Pictures(draw)
    for _ in range(5):
        with pytest.raises(ComputeFault, match="cannot be read"):
            pictures.of("a")
    assert drawn == ["a"]


def test_average_when_bytes_are_at_their_ends_then_no_carry_goes_over() -> None:
    assert average(b"\xff\x00\xff\x01", b"\xff\x00\x01\x02") == b"\xff\x00\x80\x01"
