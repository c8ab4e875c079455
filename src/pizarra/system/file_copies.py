"""Copies and writes files so that a kill or a loss of power leaves the old or the new, whole.

Some of the folders belong to the users of QEMU and swtpm. So no name is resolved twice, and no
link that such a user can have made is followed: see ``own_folder``.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pizarra.system.own_folder import names_in, open_folder_at, opening_entry, opening_folder

_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_atomically(source: Path | None, target: Path) -> None:
    """Make ``target`` a copy of ``source``, with owners and modes; remove it if there is none.

    Links and what else is no file or folder are left out. Raises OSError.
    """
    new = f".{target.name}.new"
    with opening_folder(target.parent, make=True) as to:
        _remove(to, new)
        if source is None or not _copy_from(source, to, new):
            _remove(to, target.name)
            return
        _move(to, new, target.name)


def move_atomically(source: Path, target: Path) -> None:
    """Put ``source`` in the place of ``target``, in the same folder.

    At any moment the target is whole or absent. Raises OSError.
    """
    with opening_folder(target.parent) as folder:
        _move(folder, source.name, target.name)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file that nobody writes any more a second name, in the place of ``target``; a copy
    where that is on another file system. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy_atomically(source, target)


def write_atomically(path: Path, text: str) -> None:
    """Replace the text of ``path``, durably; a crash leaves the old or the new. Raises OSError."""
    new = path.with_name(f".{path.name}.new")
    write_new(new, text)
    move_atomically(new, path)


def write_new(path: Path, text: str) -> None:
    """Write a new file. It is durable once its folder is synced too. Raises OSError."""
    path.write_text(text, encoding="utf-8")
    sync(path)


def remove_atomically(path: Path) -> None:
    """Remove a file or folder. Fine if there is none. Raises OSError."""
    if path.parent.is_dir():
        with opening_folder(path.parent) as folder:
            _remove(folder, path.name)


def same_content(one: Path | None, other: Path | None) -> bool:
    """Whether both have the same names and bytes, or neither exists. Raises OSError."""
    return _content(one) == _content(other)


def _content(path: Path | None) -> dict[str, bytes] | None:
    if path is None or not path.parent.is_dir():
        return None
    with opening_folder(path.parent) as folder:
        return dict(_files(folder, path.name, "")) or None


def _files(folder: int, name: str, prefix: str) -> Iterator[tuple[str, bytes]]:
    """The content of a file, or of the files below a folder, by their path from there."""
    with opening_entry(folder, name) as fd:
        if fd is None:
            return
        if _is_folder(fd):
            for one in names_in(fd):
                yield from _files(fd, one, f"{prefix}/{one}") if one != ".lock" else ()
        else:
            with os.fdopen(fd, "rb", closefd=False) as file:
                yield prefix, file.read()


def _is_folder(fd: int) -> bool:
    return stat.S_ISDIR(os.fstat(fd).st_mode)


def _copy_from(source: Path, to: int, new: str) -> bool:
    """Copy what is at a path to a new name in a folder. False when there is nothing."""
    if not source.parent.is_dir():
        return False
    with opening_folder(source.parent) as folder:
        return _copy(folder, source.name, to, new)


def _copy(folder: int, name: str, to: int, new: str) -> bool:
    with opening_entry(folder, name) as source:
        if source is None:
            return False
        if _is_folder(source):
            os.mkdir(new, 0o700, dir_fd=to)
            target = open_folder_at(to, new)
        else:
            target = os.open(new, _WRITE, 0o600, dir_fd=to)
        try:
            _fill(source, target)
            seen = os.fstat(source)
            os.fchown(target, seen.st_uid, seen.st_gid)
            os.fchmod(target, seen.st_mode & 0o777)
        finally:
            os.close(target)
        return True


def _fill(source: int, target: int) -> None:
    if _is_folder(source):
        for name in names_in(source):
            _copy(source, name, target, name)
        return
    with os.fdopen(source, "rb", closefd=False) as given, \
            os.fdopen(target, "wb", closefd=False) as taken:  # fmt: skip
        shutil.copyfileobj(given, taken)
    os.fsync(target)


def _move(folder: int, name: str, to: str) -> None:
    old = f".{to}.old"
    _remove(folder, old)
    with opening_entry(folder, to) as there:
        if there is not None and _is_folder(there):
            # rename(2) does not replace a folder that has files
            os.rename(to, old, src_dir_fd=folder, dst_dir_fd=folder)
    os.rename(name, to, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)
    _remove(folder, old)


def _remove(folder: int, name: str) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            shutil.rmtree(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)


def sync(path: Path) -> None:
    """Flush a file's content, or a folder's names, so that a loss of power keeps it.

    Raises OSError.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
