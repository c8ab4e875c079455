"""The folders of the server: root's own, and in it one of the pages, in which root does nothing.

Version ab156f6 gave the whole folder to the user of the pages. Such a folder becomes the sub-folder
as it is, by two renames in its parent, which belongs to root: root opens nothing that is in it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pizarra.errors import HostNotFit
from pizarra.model.sentence import N_
from pizarra.service.backup.manifest import RESTORED
from pizarra.settings import Settings
from pizarra.system.own_folder import is_ours, names_in, open_folder_at, opening_folder
from pizarra.system.system_user import make_system_user


def lay_out(settings: Settings) -> str:
    """Make the folders, and the user of the pages. Returns the user's name; "" if we are not root.

    Raises HostNotFit.
    """
    user = settings.server_user if os.geteuid() == 0 else ""
    known = make_system_user(user, settings.pages_folder) if user else None
    owner = (known.pw_uid, known.pw_gid) if known else (os.geteuid(), os.getegid())
    with opening_server_folder(settings) as folder:
        os.fchmod(folder, 0o755)
        _hand_over_restored(folder, settings.pages_folder.name, owner)
        _give_pages_folder(folder, settings.pages_folder, owner)
    return user


def make_server_folder(settings: Settings) -> None:
    """Make the folder of the server, root's own part. Raises HostNotFit."""
    with opening_server_folder(settings):
        return


@contextmanager
def opening_server_folder(settings: Settings) -> Iterator[int]:
    """The descriptor of the folder of the server, root's own part. Raises HostNotFit."""
    path = Path(os.path.realpath(settings.server_folder))  # an administrator's link is fine
    try:
        with opening_folder(path.parent, make=True, ours=True) as parent:
            _take_over(parent, path.name)
        with opening_folder(path, ours=True) as folder:
            yield folder
    except OSError as error:
        raise HostNotFit(
            "The folder of the server, {path}, cannot be used: {why}.",
            "This folder and those above must be root's alone to write to: ls -ld",
            path=settings.server_folder,
            why=error.strerror,
        ) from None


def _take_over(parent: int, name: str) -> None:
    """Make the folder, or make a folder of version ab156f6 the pages' part of a new one.

    A run that is cut off between the renames is ended by the next.
    """
    new = f".{name}.new"
    with suppress(FileNotFoundError):
        fd = open_folder_at(parent, name)
        try:
            if not _is_old(fd):
                return
        finally:
            os.close(fd)
        with suppress(FileExistsError):
            os.mkdir(new, 0o755, dir_fd=parent)
        fd = open_folder_at(parent, new)
        try:
            if not is_ours(os.fstat(fd)):
                raise PermissionError(errno.EPERM, N_("it is open to another user"), new)
            os.rename(name, "pages", src_dir_fd=parent, dst_dir_fd=fd)
            os.fsync(fd)
        finally:
            os.close(fd)
    try:
        os.rename(new, name, src_dir_fd=parent, dst_dir_fd=parent)
    except FileNotFoundError:
        os.mkdir(name, 0o755, dir_fd=parent)
    os.fsync(parent)


def _is_old(folder: int) -> bool:
    """Whether this is the pages' user's own, or what is theirs is here and not in their part."""
    names, owner = names_in(folder), os.fstat(folder).st_uid
    is_theirs = owner not in (0, os.geteuid())
    return is_theirs or ("pages" not in names and "server.sqlite" in names)


def _hand_over_restored(folder: int, pages: str, owner: tuple[int, int]) -> None:
    """What ``pizarra restore`` left for the pages becomes their folder. Root's alone until then."""
    try:
        restored = open_folder_at(folder, RESTORED)
    except FileNotFoundError:
        return
    try:
        for name in names_in(restored):
            os.chown(name, *owner, dir_fd=restored, follow_symlinks=False)
        os.fchown(restored, *owner)
        os.rename(RESTORED, pages, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    finally:
        os.close(restored)


def _give_pages_folder(folder: int, path: Path, owner: tuple[int, int]) -> None:
    with suppress(FileExistsError):
        os.mkdir(path.name, 0o700, dir_fd=folder)
    fd = open_folder_at(folder, path.name)
    try:
        seen = os.fstat(fd)
        if seen.st_uid != owner[0] and names_in(fd):
            raise HostNotFit(
                "{path} belongs to another user than the pages run as.",
                "Stop Pizarra, and run: chown -RhP USER:USER {path}",
                path=path,
            )
        os.fchown(fd, *owner)
        os.fchmod(fd, 0o700)
    finally:
        os.close(fd)
