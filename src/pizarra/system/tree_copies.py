"""Copies folders with what must be known to put them back: sums, owners by name, modes and times.

A source may belong to another user, so each name is opened in its folder's descriptor and no link
is followed. A copy is root's alone until its owner is given back. Source: openat(2).
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pizarra.system.own_folder import names_in, open_folder_at, opening_entry

_WRITE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK_BYTES = 1024 * 1024
_FOLDER_MODE, _FILE_MODE = 0o700, 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """A file or a folder of a tree, as its source is."""

    path: str  # from the top of the tree
    mode: int
    owner: str
    group: str
    changed_ns: int  # since 1970
    size_bytes: int = 0
    sha256: str = ""  # of a file; empty for a folder

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return not self.sha256


def copy_tree(
    source: int, target: int, path: str, wants: Callable[[str], object] = bool
) -> Iterator[Copied]:
    """Copy what is below a folder, whose own name is ``path``, to the folder ``target``: files of
    mode 0600, folders of mode 0700, durably. ``wants`` is asked for each name in the top folder.

    Each entry is copied when it is yielded, a folder before what is in it. What is no file or
    folder is left out. Raises OSError.
    """
    yield _entry(os.fstat(source), path)
    for name in names_in(source):
        if wants(name):
            yield from copy_any(source, name, target, name, f"{path}/{name}")
    os.fsync(target)


def copy_any(folder: int, name: str, target: int, to: str, path: str) -> Iterator[Copied]:
    """Copy a file or a folder of an open folder to the name ``to`` in another; nothing, if there is
    neither. Raises OSError."""
    with opening_entry(folder, name) as fd:
        if fd is None:
            return
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            with subfolder(target, to) as below:
                yield from copy_tree(fd, below, path)
        else:
            yield copy_file(fd, target, to, path)


def copy_file(source: int, folder: int, name: str, path: str) -> Copied:
    """Copy an open file to a new name in a folder. Raises OSError."""
    with new_file(folder, name) as fd:
        size_bytes, digest = _pour(source, fd)
    return _entry(os.fstat(source), path, size_bytes, digest)


@contextmanager
def new_file(folder: int, name: str) -> Iterator[int]:
    """A new file of mode 0600, flushed when the block is left. Raises OSError."""
    fd = os.open(name, _WRITE, _FILE_MODE, dir_fd=folder)
    try:
        yield fd
        os.fsync(fd)
    finally:
        os.close(fd)


def entry_of(fd: int, path: str) -> Copied:
    """Of a file of ours that is written already, as it is now. Raises OSError."""
    os.lseek(fd, 0, os.SEEK_SET)
    size_bytes, digest = _pour(fd, None)
    return _entry(os.fstat(fd), path, size_bytes, digest)


def check_path(path: str) -> str:
    """Raises ValueError for a path that could lead out of its tree."""
    parts = path.split("/")
    if not path or len(path) > 1000 or "\0" in path or {"", ".", ".."} & {*parts}:
        raise ValueError(f"{path!r} is no path within a folder")
    return path


def put_back(source: int, entry: Copied, target: int, to: str) -> bool:
    """Put a file or a folder of a tree of copies to ``to`` below the folder ``target``, with its
    owner and mode. False when it is not what was copied. Raises OSError."""
    with _parent_of(target, to, make=True) as (folder, name):
        if entry.is_folder:
            _make_folder(folder, name)
            fd = open_folder_at(folder, name)
        else:
            fd = os.open(name, _WRITE, _FILE_MODE, dir_fd=folder)
        try:
            if not entry.is_folder and not _is_put_back(source, entry, fd):
                return False
            os.fchown(fd, _user_id(entry.owner), _group_id(entry.group))
            os.fchmod(fd, entry.mode & 0o777)
            if not entry.is_folder:
                os.utime(fd, ns=(entry.changed_ns, entry.changed_ns))
            os.fsync(fd)
        finally:
            os.close(fd)
        os.fsync(folder)
    return True


def _is_put_back(source: int, entry: Copied, target: int) -> bool:
    with _parent_of(source, entry.path) as (folder, name), opening_entry(folder, name) as fd:
        if fd is None or os.fstat(fd).st_size != entry.size_bytes:
            return False
        return _pour(fd, target) == (entry.size_bytes, entry.sha256)


def _pour(source: int, target: int | None) -> tuple[int, str]:
    """Bytes and SHA-256 of what was read."""
    digest, size_bytes = hashlib.sha256(), 0
    while chunk := os.read(source, _CHUNK_BYTES):
        digest.update(chunk)
        size_bytes += len(chunk)
        while chunk and target is not None:
            chunk = chunk[os.write(target, chunk) :]
    return size_bytes, digest.hexdigest()


def _entry(seen: os.stat_result, path: str, size_bytes: int = 0, sha256: str = "") -> Copied:
    return Copied(
        path=path,
        mode=stat.S_IMODE(seen.st_mode) & 0o777,
        owner=_user_name(seen.st_uid),
        group=_group_name(seen.st_gid),
        changed_ns=seen.st_mtime_ns,
        size_bytes=size_bytes,
        sha256=sha256,
    )


@contextmanager
def _parent_of(top: int, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    parent, name = os.path.split(path)
    with subfolder(top, parent, make=make) as fd:
        yield fd, name


@contextmanager
def subfolder(top: int, path: str, *, make: bool = True) -> Iterator[int]:
    """The descriptor of a folder below an open one; with ``make``, what is missing of it is made
    with mode 0700. Raises OSError."""
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=top)
    try:
        for one in filter(None, path.split("/")):
            if make:
                _make_folder(fd, one)
            below = open_folder_at(fd, one)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def _make_folder(folder: int, name: str) -> None:
    try:
        os.mkdir(name, _FOLDER_MODE, dir_fd=folder)
    except FileExistsError:
        return


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _user_id(name: str) -> int:
    """Ours for a user whom this system does not know: libvirt gives its files away by itself."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return os.geteuid()


def _group_id(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return os.getegid()
