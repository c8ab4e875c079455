"""Reads and changes files of a Linux system on a disk that nobody has open, without a mount.

e2fsprogs works on ext2, ext3 and ext4 in user space, so this host's kernel never sees a file system
that came from elsewhere. And e2fsprogs works in a jail, which has the one disk and nothing else: a
student may have made the file system to attack who reads it. Each change is read back, and e2fsck
must find no fault.

Source: debugfs(8), e2fsck(8).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pizarra.errors import StorageFault
from pizarra.system.disk_program import run_on_disk
from pizarra.system.partition_table import partition_spans
from pizarra.system.process import Completed

_MAGIC_AT, _MAGIC = 1024 + 56, b"\x53\xef"
_ROOT_HAS = "/etc/passwd"
_STAT = re.compile(r"Mode:\s+(\d+).*?User:\s+(\d+)\s+Group:\s+(\d+)", re.DOTALL)
_SIZE = re.compile(r"Size:\s+(\d+)")
_READ_BYTES_MOST = 1 << 20
_CHECK_S = 600.0
# Of each name what debugfs says, and its content. A start of the jail costs more than all of them
_NEXT, _CONTENT = "\f\n", "\v\n"  # neither is in what debugfs says of a file of ours
_LOAD = f"""
command -v debugfs >/dev/null || exit 127
disk=$0
for name
do debugfs -R "stat $name" "$disk"
printf '\\v\\n'
printf 'cat %s\\n' "$name" | debugfs -f - "$disk" | head -c {2 * _READ_BYTES_MOST} | base64 -w 0
printf '\\f\\n'
done
"""
_CLEAN = (0, 1)  # no error, or errors that e2fsck corrected: e2fsck(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """A file or folder to write: its content, mode and owner."""

    data: bytes = b""
    mode: int = 0o644
    owner: int = 0  # user and group, of the guest
    folder: bool = False


class ExtFiles:
    """One file system, ``offset`` bytes behind the start of a disk. Paths are absolute.

    Raises StorageFault.
    """

    def __init__(self, disk: Path, offset: int) -> None:
        self._disk = disk
        self._place = f"{{disk}}?offset={offset}"
        self._seen: dict[str, tuple[str, bytes]] = {}  # what debugfs says of a name, its content

    def load(self, names: Iterable[str]) -> None:
        """Look at several names at once, as each look takes the start of a program."""
        new = [name for name in names if name not in self._seen]
        if not new:
            return
        told = self._run("sh", "-c", _LOAD, self._place, *new).stdout.split(_NEXT)
        if len(told) != len(new) + 1:
            raise self._fault()
        for name, text in zip(new, told, strict=False):
            said, _, encoded = text.partition(_CONTENT)
            try:
                # before its echo of the command debugfs may complain about the file system
                content = base64.b64decode(encoded, validate=True)
                self._seen[name] = said, content.partition(b"debugfs: cat %b\n" % name.encode())[2]
            except binascii.Error:
                raise self._fault() from None

    def has(self, name: str) -> bool:
        """Whether a file or folder of this name exists."""
        return "Inode:" in self._look(name)[0]

    def read(self, name: str) -> bytes | None:
        """The file's content, or None. Raises StorageFault for a file over 1 MiB."""
        said, data = self._look(name)
        size = _SIZE.search(said)
        if size is None:
            return None
        if int(size[1]) > _READ_BYTES_MOST:
            raise StorageFault("{name} on its disk is too large for what it is.", name=name)
        return data

    def change(self, new: Mapping[str, NewFile], gone: Sequence[str] = ()) -> None:
        """Write the files of ``new``, make its folders, and remove the files of ``gone``.

        A file that exists keeps its owner and mode. The result is read back and checked.
        """
        self._repair()
        self.load([*new, *gone])
        lines = [f"rm {name}" for name in gone if self.has(name)]
        for number, (name, wish) in enumerate(new.items()):
            lines += self._lines(name, wish, f"{{files}}/{number}")
        files = {str(number): wish.data for number, wish in enumerate(new.values())}
        script = "".join(f"{line}\n" for line in lines)
        self._run("debugfs", "-w", "-f", "{script}", self._place, files=files, script=script)
        self._check(new, gone)

    def _lines(self, name: str, wish: NewFile, source: str) -> Iterator[str]:
        is_now = _STAT.search(self._look(name)[0])
        mode, user, group = f"{wish.mode:o}", str(wish.owner), str(wish.owner)
        if wish.folder:
            yield from () if is_now else (f"mkdir {name}",)
        else:
            yield from (f"rm {name}",) if is_now else ()
            yield f"write {source} {name}"
        if is_now and not wish.folder:
            mode, user, group = is_now.groups()
        kind = 0o040000 if wish.folder else 0o100000
        yield f"sif {name} mode 0{kind | int(mode, 8):o}"
        yield f"sif {name} uid {user}"
        yield f"sif {name} gid {group}"

    def _repair(self) -> None:
        """Replay the journal that a power cut left, and correct what e2fsck can correct."""
        done = self._run("e2fsck", "-p", self._place)
        self._seen.clear()
        if done.returncode not in _CLEAN:
            raise StorageFault(
                "Its file system needs a repair: {said}",
                "Boot the template for maintenance and run fsck in it.",
                said=done.stdout.strip()[-200:],
            )

    def _check(self, new: Mapping[str, NewFile], gone: Sequence[str]) -> None:
        self._seen.clear()
        self.load([*new, *gone])
        wrong = [name for name in gone if self.has(name)]
        wrong += [
            name
            for name, wish in new.items()
            if not (self.has(name) if wish.folder else self.read(name) == wish.data)
        ]
        done = self._run("e2fsck", "-fn", self._place)
        if wrong or done.returncode != 0:
            raise StorageFault(
                "Its files could not be changed: {said}",
                said=", ".join(wrong) or done.stdout.strip()[-200:],
            )

    def _look(self, name: str) -> tuple[str, bytes]:
        self.load([name])
        return self._seen[name]

    def _run(
        self, *argv: str, files: Mapping[str, bytes] | None = None, script: str = ""
    ) -> Completed:
        return run_on_disk(argv, self._disk, files=files, script=script, timeout_s=_CHECK_S)

    def _fault(self) -> StorageFault:
        return StorageFault("The files on its disk cannot be read: its file system is damaged.")


def linux_root(disk: Path) -> ExtFiles | None:
    """The file system with a Linux system on it; None when e2fsprogs can read none."""
    for offset in (0, *(one.start for one in partition_spans(disk) or () if one.length)):
        with disk.open("rb") as file:
            file.seek(offset + _MAGIC_AT)
            if file.read(len(_MAGIC)) != _MAGIC:
                continue
        files = ExtFiles(disk, offset)
        if files.has(_ROOT_HAS):
            return files
    return None
