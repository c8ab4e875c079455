"""Copies and writes files so that a kill or a loss of power leaves the old or the new, whole."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path


def copy_atomically(source: Path | None, target: Path) -> None:
    """Make ``target`` a copy of ``source``, with owners and modes; remove it if there is none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.new")
    remove_atomically(new)
    if source is None or not source.exists():
        remove_atomically(target)
        return
    _copy(source, new)
    move_atomically(new, target)


def move_atomically(source: Path, target: Path) -> None:
    """Put ``source`` in the place of ``target``. At any moment the target is whole or absent."""
    old = target.with_name(f".{target.name}.old")
    remove_atomically(old)
    if target.is_dir():
        target.replace(old)  # rename(2) does not replace a folder that has files
    source.replace(target)
    sync(target.parent)
    remove_atomically(old)


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
    """Remove a file or folder. Fine if there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def same_content(one: Path | None, other: Path | None) -> bool:
    """Whether both have the same names and bytes, or neither exists."""
    return _content(one) == _content(other)


def _content(path: Path | None) -> dict[str, bytes] | None:
    if path is None or not path.exists():
        return None
    if path.is_file():
        return {"": path.read_bytes()}
    files = sorted(one for one in path.rglob("*") if one.is_file() and one.name != ".lock")
    return {str(one.relative_to(path)): one.read_bytes() for one in files} or None


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        target.mkdir()
        for one in source.iterdir():
            if one.is_dir() or one.is_file():
                _copy(one, target / one.name)
    else:
        shutil.copyfile(source, target)
        sync(target)
    seen = source.stat()
    os.chown(target, seen.st_uid, seen.st_gid)
    target.chmod(seen.st_mode & 0o7777)


def sync(path: Path) -> None:
    """Flush a file's content, or a folder's names, so that a loss of power keeps it.

    Raises OSError.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
