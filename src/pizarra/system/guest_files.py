"""Mounts a guest's disk read-only and copies files out of it. The guest is hostile.

This host's kernel reads a file system that a student made. So only known kinds are mounted,
mount(8) never guesses the kind, and devices, programs and set-uid do not count. No link in the
guest is followed: a link is left out and reported. Only plain files and folders are opened.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pizarra.errors import AlreadyExists, BadInput, NotFound, StorageFault, Unsupported
from pizarra.system.own_folder import opening_folder
from pizarra.system.partition_table import partition_spans
from pizarra.system.process import run

_DEPTH_MAX = 100
_PIECE_BYTES = 1 << 20
_SAFE = "ro,nodev,nosuid,noexec,loop"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# blkid's name: (mount's name, options with which the mount writes nothing, not even a journal)
_KINDS = {
    "ext2": ("ext4", "noload"),
    "ext3": ("ext4", "noload"),
    "ext4": ("ext4", "noload"),
    "xfs": ("xfs", "norecovery,nouuid"),
    "btrfs": ("btrfs", "rescue=nologreplay"),
    "vfat": ("vfat", ""),
    "exfat": ("exfat", ""),
    "ntfs": ("ntfs3", ""),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A partition; number 0 is a whole disk without partitions."""

    number: int
    offset_bytes: int
    size_bytes: int
    kind: str  # blkid's name: ext4, swap, LVM2_member; empty when blkid knows none


@dataclass(slots=True, kw_only=True)
class Copied:
    """How much was copied out, and what was left out, with the reason."""

    files: int = 0
    size_bytes: int = 0
    left_out: list[str] = field(default_factory=list)


def partitions(device: Path) -> tuple[Partition, ...]:
    """The partitions of a disk, in the order of its table."""
    spans = partition_spans(device)
    if spans is None:
        parts = [(0, 0, _size_bytes(device))]
    else:
        parts = [(n, one.start, one.length) for n, one in enumerate(spans, 1) if one.length]
    return tuple(
        Partition(number=n, offset_bytes=start, size_bytes=length, kind=_kind(device, start))
        for n, start, length in parts
    )


def _size_bytes(device: Path) -> int:
    with device.open("rb") as file:
        return file.seek(0, os.SEEK_END)


def _kind(device: Path, offset_bytes: int) -> str:
    probe = ["blkid", "-p", "-O", str(offset_bytes), "-s", "TYPE", "-o", "value", str(device)]
    return run(probe, check=False).stdout.strip()


def choose_partition(device: Path, number: int | None) -> Partition:
    """Partition ``number``, or the largest that can be mounted. Raises NotFound, Unsupported."""
    found = partitions(device)
    shown = ", ".join(f"{one.number} {one.kind or 'unknown'}" for one in found) or "none"
    if number is not None and number not in {one.number for one in found}:
        raise NotFound("The disk has no partition {n}.", "It has: {those}.", n=number, those=shown)
    wanted = [one for one in found if number in (None, one.number) and one.kind in _KINDS]
    if not wanted:
        raise Unsupported(
            "No file system that can be mounted is on the disk: {those}.",
            "Look at the device itself with guestfish --ro -a DEVICE.",
            those=shown,
        )
    return max(wanted, key=lambda one: one.size_bytes)


def mount(device: Path, folder: Path, number: int | None) -> Partition:
    """Mount a partition read-only. Its loop device ends with the mount. Raises StorageFault."""
    part = choose_partition(device, number)
    kind, quiet = _KINDS[part.kind]
    span = f"offset={part.offset_bytes},sizelimit={part.size_bytes}"
    options = ",".join(filter(None, (_SAFE, quiet, span)))
    done = run(["mount", "-t", kind, "-o", options, str(device), str(folder)], check=False)
    if done.returncode != 0:
        raise StorageFault(
            "The file system ({kind}) cannot be mounted: {said}",
            "It may be damaged, or unknown to this kernel: dmesg | tail",
            kind=part.kind,
            said=" ".join(done.stderr.split())[:300],
        )
    return part


def is_mounted(folder: Path) -> bool:
    """Whether ``folder`` is a mount point."""
    return os.path.ismount(folder)


def unmount(folder: Path) -> None:
    """Unmount. Fine when nothing is mounted. Raises StorageFault when the folder is in use."""
    if not is_mounted(folder):
        return
    done = run(["umount", str(folder)], check=False)
    if done.returncode != 0:
        raise StorageFault(
            "{folder} is in use: {said}",
            "Leave that folder, then try again. Who is in it: fuser -vm {folder}",
            folder=folder,
            said=" ".join(done.stderr.split()),
        )


def copy_out(root: Path, path: str, target: Path) -> Copied:
    """Copy a file or folder of a mounted guest into the folder ``target``, made if it is missing.

    No link is followed, in the guest or on the way to the target, unless root made the link.
    Raises NotFound, BadInput, AlreadyExists, StorageFault.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise BadInput("The path {path} leads upwards.", path=path)
    name, new = (parts[-1], parts[-1]) if parts else (".", "disk")
    copied = Copied()
    try:
        with _folder_at(root, parts[:-1], path) as folder, \
                opening_folder(target, make=True) as to:  # fmt: skip
            _check_no_link(folder, name, path)
            _copy(_Entry(folder=folder, name=name, to=to, new=new, path=path), copied)
    except FileExistsError:
        raise AlreadyExists(
            "{name} is in {target} already, and is not overwritten.",
            "Choose another folder.",
            name=new,
            target=target,
        ) from None
    except NotADirectoryError:
        raise NotFound("There is no {path} in the guest.", path=path) from None
    except OSError as error:
        raise StorageFault("{path}: {why}.", path=path, why=error.strerror or error) from None
    return copied


@contextmanager
def _open(name: str, at: int) -> Iterator[int]:
    fd = os.open(name, _FOLDER, dir_fd=at)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _folder_at(root: Path, parts: list[str], path: str) -> Iterator[int]:
    """Open a folder one step at a time, so that no link in the guest can lead out of it."""
    fd = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
    try:
        for part in parts:
            _check_no_link(fd, part, path)
            below = os.open(part, _FOLDER, dir_fd=fd)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def _check_no_link(folder: int, name: str, path: str) -> None:
    try:
        seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound("There is no {path} in the guest.", path=path) from None
    if stat.S_ISLNK(seen.st_mode):
        raise BadInput(
            "{name} in {path} is a link in the guest, to {where!r}; links are not followed.",
            "Name the place that it leads to.",
            name=name,
            path=path,
            where=os.readlink(name, dir_fd=folder),
        )


@dataclass(slots=True, kw_only=True)
class _Entry:
    """One name in the guest, and where its copy goes."""

    folder: int
    name: str
    to: int
    new: str
    path: str
    depth: int = 0

    def leave_out(self, copied: Copied, why: str) -> None:
        """Report an entry. A name may hold codes that control a terminal, so those are escaped."""
        shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in self.path)
        copied.left_out.append(f"{shown}: {why}")


def _copy_below(entry: _Entry, copied: Copied) -> None:
    """Copy an entry. A fault of one entry stops no other; a fault of the target stops all."""
    try:
        _copy(entry, copied)
    except FileExistsError:
        entry.leave_out(copied, "its name is there twice")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        entry.leave_out(copied, error.strerror or str(error))


def _copy(entry: _Entry, copied: Copied) -> None:
    seen = os.stat(entry.name, dir_fd=entry.folder, follow_symlinks=False)
    if stat.S_ISDIR(seen.st_mode):
        _copy_folder(entry, copied)
    elif stat.S_ISREG(seen.st_mode):
        _copy_file(entry, copied)
    else:
        link = stat.S_ISLNK(seen.st_mode)
        entry.leave_out(copied, "a link" if link else "neither a file nor a folder")


def _copy_folder(entry: _Entry, copied: Copied) -> None:
    if entry.depth >= _DEPTH_MAX:
        entry.leave_out(copied, "too deep")
        return
    os.mkdir(entry.new, 0o700, dir_fd=entry.to)
    with _open(entry.name, entry.folder) as folder, _open(entry.new, entry.to) as to:
        with os.scandir(folder) as found:
            names = sorted(one.name for one in found)
        for name in names:
            path, depth = f"{entry.path.rstrip('/')}/{name}", entry.depth + 1
            below = _Entry(folder=folder, name=name, to=to, new=name, path=path, depth=depth)
            _copy_below(below, copied)


def _copy_file(entry: _Entry, copied: Copied) -> None:
    """Copy a file. Holes stay holes: an empty file of a petabyte costs nothing."""
    read = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    source = os.open(entry.name, read, dir_fd=entry.folder)
    try:
        seen = os.fstat(source)
        if not stat.S_ISREG(seen.st_mode):
            entry.leave_out(copied, "it is no file after all")
            return
        write = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        target = os.open(entry.new, write, 0o600, dir_fd=entry.to)
        try:
            copied.size_bytes += _copy_content(source, target, seen.st_size)
            os.utime(target, ns=(seen.st_atime_ns, seen.st_mtime_ns))
        finally:
            os.close(target)
        copied.files += 1
    finally:
        os.close(source)


def _copy_content(source: int, target: int, size_bytes: int) -> int:
    done, at = 0, 0
    while at < size_bytes:
        try:
            start = os.lseek(source, at, os.SEEK_DATA)
        except OSError:  # ENXIO: a hole to the end of the file
            break
        end = os.lseek(source, start, os.SEEK_HOLE)
        at = start
        while at < end:
            piece = os.pread(source, min(_PIECE_BYTES, end - at), at)
            if not piece:
                end = at = size_bytes
                break
            written = os.pwrite(target, piece, at)
            at, done = at + written, done + written
    os.ftruncate(target, size_bytes)
    return done
