"""Opens folders on whose way an unprivileged user may have planted a link.

Root that resolves a name in a folder of somebody else does what that user wants: the name may be a
link to any file of root's. So the way is walked one name after another, from descriptor to
descriptor. A link is only followed where nobody but root, or this process's own user, can have
made the link. What is done in the folder then takes its descriptor: ``dir_fd``, ``fchown``.

Source: openat(2), O_NOFOLLOW and O_PATH in open(2); systemd's chase() refuses the same links.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pizarra.model.sentence import N_

_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LINKS_MAX = 40  # as the kernel has it


@contextmanager
def opening_folder(path: Path, *, make: bool = False, ours: bool = False) -> Iterator[int]:
    """The descriptor of a folder.

    With ``make`` the folders that are missing are made, with mode 0755. With ``ours`` every folder
    on the way must be one in which only root, or our own user, can replace a name. Raises OSError:
    ELOOP for a link of another user, EPERM for a folder that is not ours.
    """
    fd = _walk(path, make=make, ours=ours)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def making_folder(path: Path, *, mode: int, ours: bool = False) -> Iterator[int]:
    """The descriptor of a new folder, which has its name when the block is left, and not before.
    An error in the block removes the folder. An empty folder with the name is replaced.

    Raises OSError; ``ours`` as for ``opening_folder``.
    """
    new = f".{path.name}.part{os.getpid()}"
    with opening_folder(path.parent, ours=ours) as parent:
        os.mkdir(new, mode, dir_fd=parent)
        fd = open_folder_at(parent, new)
        try:
            yield fd
            os.fsync(fd)
            os.rename(new, path.name, src_dir_fd=parent, dst_dir_fd=parent)
            os.fsync(parent)
        finally:
            os.close(fd)
            shutil.rmtree(new, ignore_errors=True, dir_fd=parent)


def open_folder_at(folder: int, name: str) -> int:
    """The descriptor of a folder in a folder; a link is refused. Raises OSError."""
    return os.open(name, _FOLDER, dir_fd=folder)


@contextmanager
def opening_entry(folder: int, name: str) -> Iterator[int | None]:
    """A file or a folder, to read; None for what is neither, as a link, or is not there. Raises
    OSError."""
    try:
        fd = os.open(name, _READ, dir_fd=folder)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
            raise
        yield None  # ENXIO: a socket
        return
    try:
        mode = os.fstat(fd).st_mode
        yield fd if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else None
    finally:
        os.close(fd)


def names_in(folder: int) -> list[str]:
    """The names in a folder, sorted. Raises OSError."""
    with os.scandir(folder) as entries:
        return sorted(one.name for one in entries)


def path_of(fd: int) -> Path:
    """A path to what is open as ``fd``, for programs that take a path: no rename changes it."""
    return Path(f"/proc/{os.getpid()}/fd/{fd}")


def is_ours(seen: os.stat_result) -> bool:
    """Whether only root, or our own user, can replace a name in the folder that was seen."""
    own_groups, own_users = (0, os.getegid()), (0, os.geteuid())
    by_others = stat.S_IWOTH | (0 if seen.st_gid in own_groups else stat.S_IWGRP)
    is_closed = not seen.st_mode & by_others or seen.st_mode & stat.S_ISVTX
    return seen.st_uid in own_users and bool(is_closed)


def _walk(path: Path, *, make: bool, ours: bool) -> int:
    start, parts = Path("/"), path.absolute().parts[1:]
    if parts[:3] == path_of(0).parts[1:4]:  # of one of our descriptors
        start, parts = Path(path.root, *parts[:4]), parts[4:]
    left = [*reversed(parts)]
    links, fd = 0, os.open(start, os.O_PATH | os.O_CLOEXEC)
    try:
        while left:
            name = left.pop()
            below = _step(fd, name, make=make)
            seen = os.fstat(below)
            if not stat.S_ISLNK(seen.st_mode):
                fd, above = below, fd
                os.close(above)
                if ours and not is_ours(seen):
                    raise PermissionError(errno.EPERM, N_("it is open to another user"), str(path))
                continue
            os.close(below)
            links += 1
            is_trusted = is_ours(os.fstat(fd)) and seen.st_uid in (0, os.geteuid())
            if links > _LINKS_MAX or not is_trusted:
                raise OSError(errno.ELOOP, N_("a link of another user is on the way"), str(path))
            target = Path(os.readlink(name, dir_fd=fd))
            left += reversed(target.parts[1:] if target.is_absolute() else target.parts)
            if target.is_absolute():
                fd, above = os.open("/", _STEP), fd
                os.close(above)
        return os.open(".", _FOLDER, dir_fd=fd)
    finally:
        os.close(fd)


def _step(folder: int, name: str, *, make: bool) -> int:
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=folder)
    return os.open(name, _STEP, dir_fd=folder)
