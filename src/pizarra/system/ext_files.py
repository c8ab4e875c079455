"""Reads and changes files of a Linux system on a disk that nobody has open, without a mount.

e2fsprogs works on ext2, ext3 and ext4 in user space, so this host's kernel never sees a file system
that came from elsewhere. Each change is read back, and e2fsck must find no fault.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pizarra.errors import StorageFault
from pizarra.system.partition_table import partition_spans
from pizarra.system.process import run

_MAGIC_AT, _MAGIC = 1024 + 56, b"\x53\xef"
_ROOT_HAS = "/etc/passwd"
_STAT = re.compile(r"Mode:\s+(\d+).*?User:\s+(\d+)\s+Group:\s+(\d+)", re.DOTALL)
_SIZE = re.compile(r"Size:\s+(\d+)")
_READ_BYTES_MOST = 1 << 20
_CHECK_S = 600.0
_CLEAN = (0, 1)  # no error, or errors that e2fsck corrected: e2fsck(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """A file or folder to write: its content, mode and owner."""

    data: bytes = b""
    mode: int = 0o644
    owner: int = 0  # user and group, of the guest
    folder: bool = False


class ExtFiles:
    """One file system, named as e2fsprogs names it. Paths are absolute. Raises StorageFault."""

    def __init__(self, place: str) -> None:
        self._place = place

    def has(self, name: str) -> bool:
        """Whether a file or folder of this name exists."""
        return "Inode:" in self._ask(f"stat {name}")

    def read(self, name: str) -> bytes | None:
        """The file's content, or None. Raises StorageFault for a file over 1 MiB."""
        size = _SIZE.search(self._ask(f"stat {name}"))
        if size is None:
            return None
        if int(size[1]) > _READ_BYTES_MOST:
            raise StorageFault("{name} on its disk is too large for what it is.", name=name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "read"
            self._ask(f"dump {name} {path}")
            return path.read_bytes() if path.exists() else None

    def change(self, new: Mapping[str, NewFile], gone: Sequence[str] = ()) -> None:
        """Write the files of ``new``, make its folders, and remove the files of ``gone``.

        A file that exists keeps its owner and mode. The result is read back and checked.
        """
        self._repair()
        with tempfile.TemporaryDirectory() as folder:
            lines = [f"rm {name}" for name in gone if self.has(name)]
            for number, (name, wish) in enumerate(new.items()):
                source = Path(folder) / str(number)
                source.write_bytes(wish.data)
                lines += self._lines(name, wish, source)
            run(["debugfs", "-w", "-f", "-", self._place], input_text="\n".join(lines) + "\n")
        self._check(new, gone)

    def _lines(self, name: str, wish: NewFile, source: Path) -> Iterator[str]:
        is_now = _STAT.search(self._ask(f"stat {name}"))
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
        done = run(["e2fsck", "-p", self._place], check=False, timeout_s=_CHECK_S)
        if done.returncode not in _CLEAN:
            raise StorageFault(
                "Its file system needs a repair: {said}",
                "Boot the template for maintenance and run fsck in it.",
                said=done.stdout.strip()[-200:],
            )

    def _check(self, new: Mapping[str, NewFile], gone: Sequence[str]) -> None:
        wrong = [name for name in gone if self.has(name)]
        wrong += [
            name
            for name, wish in new.items()
            if not (self.has(name) if wish.folder else self.read(name) == wish.data)
        ]
        done = run(["e2fsck", "-fn", self._place], check=False, timeout_s=_CHECK_S)
        if wrong or done.returncode != 0:
            raise StorageFault(
                "Its files could not be changed: {said}",
                said=", ".join(wrong) or done.stdout.strip()[-200:],
            )

    def _ask(self, line: str) -> str:
        return run(["debugfs", "-R", line, self._place]).stdout


def linux_root(disk: Path) -> ExtFiles | None:
    """The file system with a Linux system on it; None when e2fsprogs can read none."""
    for offset in (0, *(one.start for one in partition_spans(disk) or () if one.length)):
        with disk.open("rb") as file:
            file.seek(offset + _MAGIC_AT)
            if file.read(len(_MAGIC)) != _MAGIC:
                continue
        files = ExtFiles(f"{disk}?offset={offset}")
        if files.has(_ROOT_HAS):
            return files
    return None
