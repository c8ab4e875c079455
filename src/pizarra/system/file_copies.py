"""Copies of files and folders that are there whole or not at all, whoever is killed meanwhile;
changes that a loss of power does not take back."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def copy_atomically(source: Path | None, target: Path) -> None:
    """``target`` has what ``source`` has, with owners and modes; nothing where there is none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.new")
    remove_atomically(new)
    if source is None or not source.exists():
        remove_atomically(target)
        return
    _copy(source, new)
    move_atomically(new, target)


def move_atomically(source: Path, target: Path) -> None:
    """``source`` takes the place of ``target``, which is whole or not there at any moment."""
    old = target.with_name(f".{target.name}.old")
    remove_atomically(old)
    if target.is_dir():
        target.replace(old)  # a folder is replaced by none
    source.replace(target)
    sync(target.parent)
    remove_atomically(old)


def write_atomically(path: Path, text: str) -> None:
    """``path`` says ``text`` now, or what it said before. Raises OSError."""
    new = path.with_name(f".{path.name}.new")
    write_new(new, text)
    move_atomically(new, path)


def write_new(path: Path, text: str) -> None:
    """A new file's content, lasting once its folder is synced too. Raises OSError."""
    path.write_text(text, encoding="utf-8")
    sync(path)


def remove_atomically(path: Path) -> None:
    """Fine if it is not there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def same_content(one: Path | None, other: Path | None) -> bool:
    """Whether both have the same names and bytes, or neither is there."""
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
    """A file's content, or what was renamed, linked or removed in a folder, stays so after a loss
    of power. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
