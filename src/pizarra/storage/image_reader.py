"""Reads disk images that somebody else wrote, in a child that holds them as open descriptors.

The child is a QEMU without a machine, in a jail (``system.jail``). We hand it descriptors (add-fd),
so a name in an image, of a backing file or of a data file, leads to nothing. The child opens the
image once, says what the image is, and then sends its content as a raw disk by NBD over a socket of
ours. So the image that was looked at and the image that is copied are the same, whoever writes to
the file meanwhile.

Source: QEMU's documents "QMP Reference" and "Network Block Device"; block/file-posix.c for
``/dev/fdset``, which neither qemu-img nor qemu-storage-daemon 7.2 knows.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError

from pizarra.errors import HostNotFit
from pizarra.model.foreign_json import parse_foreign_json
from pizarra.model.sentence import N_
from pizarra.storage.qcow2.header import open_file
from pizarra.system.jail import jail
from pizarra.system.process import Completed, piping, run

_QEMU = (
    *("qemu-system-x86_64", "-no-user-config", "-nodefaults", "-machine", "none", "-S"),
    *("-accel", "tcg,tb-size=1", "-display", "none"),
    *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
)
_ANSWER_S = 120.0  # an emulated machine takes its time
_ANSWER_BYTES_MAX = 4 << 20
_TEXT_MAX = 4096
_EVENTS_MAX = 1000  # before an answer
_NONSENSE = N_("the program that reads images says nothing that can be understood")
_CHECK_S = 3600  # it reads all tables of an image
_DISK, _FILE = "disk", "file"  # nodes of the child: the content, the bytes of the file
_SOCKET = "nbd"


class UnreadableImage(Exception):
    """The child refused the image, in QEMU's words, or has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenImage:
    """An image that the child has open."""

    folder: Path  # of root's alone, with the socket
    size_bytes: int  # of the disk
    backing: str  # the name of a backing file that stands in the image
    encrypted: bool
    file: BinaryIO

    @property
    def url(self) -> str:
        """The content as a raw disk, for qemu-img."""
        return f"nbd+unix:///{_DISK}?socket={self.folder / _SOCKET}"

    @property
    def stamp(self) -> tuple[int, ...]:
        """Of the file now: another one when somebody has written to the file. Raises OSError."""
        return stamp_of(os.fstat(self.file.fileno()))


def stamp_of(seen: os.stat_result) -> tuple[int, ...]:
    """Differs between two files, and before and after a change of one; a device has one stamp."""
    if stat.S_ISBLK(seen.st_mode):
        return (seen.st_rdev,)
    return (seen.st_dev, seen.st_ino, seen.st_size, seen.st_ctime_ns)


def _printable(said: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in said[:_TEXT_MAX])


_Text = Annotated[str, AfterValidator(_printable)]


class _Image(BaseModel):
    """What we read of ``query-named-block-nodes``."""

    size_bytes: int = Field(alias="virtual-size", ge=0, lt=1 << 63)
    backing: _Text = Field(alias="backing-filename", default="")
    encrypted: bool = False


class _Node(BaseModel):
    name: str = Field(alias="node-name", default="")
    image: _Image


class _Error(BaseModel):
    desc: _Text = ""


class _Answer(BaseModel):
    """A line of QMP: a greeting, an event, what was asked for, or an error."""

    told: Any = Field(alias="return", default=None)
    error: _Error | None = None


_NODES = TypeAdapter(list[_Node])


@contextmanager
def reading_image(path: Path, form: str, *, backing: Sequence[Path] = ()) -> Iterator[OpenImage]:
    """Read an image of this format for as long as the block lasts.

    ``backing`` are qcow2 files of ours that the image stands on, the nearest first. Raises OSError,
    ValueError for what is no file, UnreadableImage, HostNotFit.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(open_file(one)) for one in (path, *backing)]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pizarra-image-")))
        listening = stack.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(str(folder / _SOCKET))
        listening.listen()
        child = stack.enter_context(_child(folder / "root"))
        formats = (form, *("qcow2" for _ in backing))
        child.open(_nodes(files, formats), files)
        child.serve(listening)
        image = child.image()
        yield OpenImage(
            folder=folder,
            size_bytes=image.size_bytes,
            backing="" if backing else image.backing,
            encrypted=image.encrypted,
            file=files[0],
        )


def check_image(image: OpenImage, form: str) -> Completed:
    """``qemu-img check --output=json`` of an image: in a jail too, over the bytes of the file."""
    root = image.folder / "check"
    root.mkdir()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(image.folder / _SOCKET))
        fd = connection.fileno()
        options = (f"driver={form}", "file.driver=nbd", f"file.export={_FILE}",
                   "file.server.type=fd", f"file.server.str={fd}")  # fmt: skip
        argv = ["qemu-img", "check", "--output=json", "--image-opts", ",".join(options)]
        return run(jail(argv, root), check=False, timeout_s=_CHECK_S, pass_fds=[fd])


@contextmanager
def _child(root: Path) -> Iterator[Monitor]:
    root.mkdir()
    ours, theirs = socket.socketpair()
    argv = [*_QEMU, "-chardev", f"socket,id=qmp,fd={theirs.fileno()}",
            "-mon", "chardev=qmp,mode=control"]  # fmt: skip
    with ours, theirs, piping(jail(argv, root), pass_fds=[theirs.fileno()]) as process:
        theirs.close()  # or we would wait for a child that has ended
        ours.settimeout(_ANSWER_S)
        try:
            monitor = Monitor(ours)
        except UnreadableImage as error:
            process.terminate()
            said = process.stdout.read() if process.stdout else ""
            raise HostNotFit(
                "Images of others cannot be read on this host: {why}.",
                "They are read by qemu-system-x86_64 in namespaces of its own: see unshare(1).",
                why=" ".join(said.split()) or error,
            ) from None
        yield monitor


def _nodes(files: Sequence[BinaryIO], formats: Sequence[str]) -> dict[str, Any]:
    """The arguments of ``blockdev-add`` for a chain of images, whose descriptors are in sets."""
    below: dict[str, Any] | None = None
    for number in reversed(range(len(files))):
        is_device = _is_device(files[number])
        file = {
            "driver": "host_device" if is_device else "file",
            "filename": f"/dev/fdset/{number}",
            "node-name": _FILE if number == 0 else f"{_FILE}{number}",
            # the page cache may hold a student's old blocks of a device
            "cache": {"direct": is_device},
        }
        node = {"driver": formats[number], "read-only": True, "file": file}
        if formats[number] in ("qcow2", "vmdk"):
            node["backing"] = below
        below = node
    return {**(below or {}), "node-name": _DISK}


def _is_device(file: BinaryIO) -> bool:
    return stat.S_ISBLK(os.fstat(file.fileno()).st_mode)


class Monitor:
    """QMP with the child. Raises UnreadableImage."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lines = connection.makefile("rb")
        self._answer()  # QEMU begins, with a greeting
        self._ask("qmp_capabilities", {})

    def open(self, nodes: dict[str, Any], files: Sequence[BinaryIO]) -> None:
        """Hand the files over, and open the image that they are."""
        for number, file in enumerate(files):
            if _is_device(file):  # QEMU 9.1 and later only takes a descriptor with the same flag
                flags = fcntl.fcntl(file, fcntl.F_GETFL)
                fcntl.fcntl(file, fcntl.F_SETFL, flags | os.O_DIRECT)
            self._ask("add-fd", {"fdset-id": number}, file.fileno())
        self._ask("blockdev-add", nodes)

    def serve(self, listening: socket.socket) -> None:
        """Have the child serve the content and the bytes of the file at this socket."""
        self._ask("getfd", {"fdname": "nbd"}, listening.fileno())
        address = {"type": "fd", "data": {"str": "nbd"}}
        self._ask("nbd-server-start", {"addr": address})
        for node in (_DISK, _FILE):
            export = {"type": "nbd", "id": node, "node-name": node, "name": node}
            self._ask("block-export-add", export)

    def image(self) -> _Image:
        """What the child says of the image."""
        nodes = self._ask("query-named-block-nodes", {"flat": True})
        try:
            found = [one.image for one in _NODES.validate_python(nodes) if one.name == _DISK]
            return found[0]
        except (ValidationError, IndexError):
            raise UnreadableImage(_NONSENSE) from None

    def _ask(self, command: str, arguments: dict[str, Any], fd: int | None = None) -> Any:
        line = json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n"
        with suppress(OSError):  # no answer says so
            socket.send_fds(self._socket, [line], [] if fd is None else [fd])
        for _ in range(_EVENTS_MAX):
            answer = self._answer()
            if answer.error:
                raise UnreadableImage(answer.error.desc)
            if "told" in answer.model_fields_set:
                return answer.told  # else it is an event
        raise UnreadableImage(_NONSENSE)

    def _answer(self) -> _Answer:
        """An image may have taken the child over: what it says is hostile."""
        try:
            line = self._lines.readline(_ANSWER_BYTES_MAX)
        except OSError:  # it took too long
            line = b""
        if not line:
            raise UnreadableImage(N_("the program that reads images has ended"))
        try:
            return _Answer.model_validate(parse_foreign_json(line.decode()))
        except ValueError:  # a ValidationError and a UnicodeDecodeError are one
            raise UnreadableImage(_NONSENSE) from None
