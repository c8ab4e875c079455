"""Makes a small picture of a screen, in a child: a guest chooses what its screen is.

A screen may be 16384 dots wide, and a QEMU that its guest has taken over may send anything instead
of a picture. So we take so many bytes of it and parse none. A child in a jail reads the picture
with libpng, which QEMU needs too, and halves the picture until it is small.

Source: libpng(3), "The simplified API"; netpbm's ppm(5); PNG (ISO/IEC 15948) for what is written.
"""

from __future__ import annotations

import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from pizarra.errors import ComputeFault
from pizarra.model.sizes import MIB
from pizarra.system.jail import jail
from pizarra.system.process import piping

PICTURE_BYTES_MAX = 32 * MIB  # a screen of 3840x2160 as PPM has 24
SMALL_BYTES_MAX = MIB
_MEMORY_BYTES = 512 * MIB
_CPU_S = 5  # the usual is a tenth of a second
_LIMIT_S = 30  # on a busy host
_PIECE_BYTES = 1 << 18
_PYTHON = "/usr/bin/python3"  # of the system: the jail has /usr
_SCRIPT = Path(__file__).with_name("small_picture_child.py")
_PNG = b"\x89PNG\r\n\x1a\n"


def receive_picture(stream: Any) -> bytes:
    """What libvirt sends through a stream of ``virDomainScreenshot``: PNG or PPM.

    Raises ComputeFault.
    """
    data = bytearray()
    while part := stream.recv(_PIECE_BYTES):
        data += part
        if len(data) > PICTURE_BYTES_MAX:
            stream.abort()
            raise _too_large()
    stream.finish()
    return bytes(data)


def make_small(picture: bytes) -> bytes:
    """A PNG at most 640 dots wide and high. Raises ComputeFault for what cannot be read."""
    if len(picture) > PICTURE_BYTES_MAX:
        raise _too_large()
    ours, theirs = socket.socketpair()
    with (
        ours,
        theirs,
        _SCRIPT.open("rb") as script,
        tempfile.TemporaryDirectory(prefix="pizarra-picture-") as root,
    ):
        fds = (script.fileno(), theirs.fileno())
        argv = [_PYTHON, "-I", "-S", "-c", f"exec(open({fds[0]}).read())", str(fds[1])]
        jailed = jail(argv, Path(root), memory_bytes=_MEMORY_BYTES, cpu_s=_CPU_S)
        # the child ends by then whatever it does, and so does what it sends
        with piping(["timeout", "--signal=KILL", str(_LIMIT_S), *jailed], pass_fds=fds):
            theirs.close()
            answer = _exchange(ours, picture)
    if not answer.startswith(_PNG) or len(answer) > SMALL_BYTES_MAX:
        raise ComputeFault("The picture of the screen cannot be read.")
    return answer


def _exchange(child: socket.socket, picture: bytes) -> bytes:
    """Send the picture, and receive the small one; nothing from a child that has ended."""
    child.settimeout(2.0 * _LIMIT_S)
    with suppress(OSError), child.makefile("rb") as answer:
        child.sendall(picture)
        child.shutdown(socket.SHUT_WR)
        return answer.read(SMALL_BYTES_MAX + 1)
    return b""


def _too_large() -> ComputeFault:
    return ComputeFault("The screen is too large to be shown here: open its console.")
