"""Uploads of images from a browser: files of the user of the pages, which grow piece by piece.

A piece says where it begins, so a lost piece is sent again and nothing is written twice. The agent
imports a complete upload of which it gets the open file: root resolves no name in this folder. The
pages delete an upload that was imported, and one that nobody continues for a day.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid4

from pizarra.errors import BadInput, Busy, NoSpace, NotFound
from pizarra.model.sizes import GIB, size_text
from pizarra.system.own_folder import path_of
from pizarra.system.refusals import reporting_refusals

FOLDER = "uploads"  # in the folder of the pages
PIECE_BYTES = 8 << 20
_READ_BYTES = 1 << 20
_AT_ONCE = 3  # unfinished ones of one person
_KEPT_FREE_BYTES = GIB
_FORGOTTEN_AFTER_S = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One upload, complete or not."""

    id: UUID
    path: Path
    user: int
    size_bytes: int

    @property
    def received(self) -> int:
        """The bytes that have arrived."""
        return self.path.stat().st_size

    @property
    def whole(self) -> bool:
        """Whether all bytes have arrived."""
        return self.received == self.size_bytes


def begin(pages_folder: Path, user: int, size_bytes: int) -> Upload:
    """Begin an upload of so many bytes. Raises NoSpace, Busy."""
    folder = pages_folder / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    mine = [one for one in _all(folder) if not _forget(one) and one.user == user]
    if len(mine) >= _AT_ONCE:
        raise Busy(
            "{n} of your uploads have not ended.", "End one of them, or wait a day.", n=len(mine)
        )
    coming = sum(one.size_bytes - one.received for one in _all(folder))
    free = max(0, shutil.disk_usage(folder).free - _KEPT_FREE_BYTES - coming)
    if size_bytes > free:
        raise NoSpace(
            "The upload needs {needs}, and the server has {free} for it.",
            "Make room on the server, or import it there: pizarra template import NAME FILE",
            needs=size_text(size_bytes),
            free=size_text(free),
        )
    upload = _at(folder, uuid4(), user, size_bytes)
    with reporting_refusals(folder):
        _create(upload)
    return upload


def _create(upload: Upload) -> None:
    os.close(os.open(upload.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    told = json.dumps({"user": upload.user, "size_bytes": upload.size_bytes})
    upload.path.with_suffix(".json").write_text(told, encoding="utf-8")


def find(pages_folder: Path, upload_id: UUID, user: int) -> Upload:
    """The upload of a user. Raises NotFound, also for the upload of another user."""
    for one in _all(pages_folder / FOLDER):
        if (one.id, one.user) == (upload_id, user):
            return one
    raise _no_upload()


def add(upload: Upload, offset: int, piece: BinaryIO) -> None:
    """Write a piece at an offset. Raises BadInput, and then the upload is unchanged."""
    if offset != upload.received:
        raise BadInput(
            "The next byte of this upload is {n}.", "Go on from there.", n=upload.received
        )
    end = min(upload.size_bytes, offset + PIECE_BYTES)
    with reporting_refusals(upload.path), upload.path.open("r+b") as file:
        file.seek(offset)
        while data := piece.read(_READ_BYTES):
            if file.tell() + len(data) > end:
                file.truncate(offset)
                raise BadInput("The piece is too long.", "Send at most {n} bytes.", n=PIECE_BYTES)
            file.write(data)


def drop(upload: Upload) -> None:
    """Delete an upload."""
    _remove(upload.path)


@contextmanager
def opening(upload: Upload) -> Iterator[int]:
    """The descriptor of an upload, for the agent. Raises NotFound for anything but a plain file."""
    try:
        fd = os.open(upload.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        raise _no_upload() from None
    try:
        yield fd
    finally:
        os.close(fd)


def path_of_upload(fd: int | None) -> Path:
    """A path to a file that the user of the pages has opened; no rename replaces the file.

    Raises NotFound for what is no plain file, or not open for reading: a path opens the file again
    as root, so the descriptor must prove that the pages may read the file.
    """
    if fd is None:
        raise _no_upload()
    flags, seen = fcntl.fcntl(fd, fcntl.F_GETFL), os.fstat(fd)
    can_read = flags & os.O_ACCMODE != os.O_WRONLY and not flags & os.O_PATH
    if not can_read or not stat.S_ISREG(seen.st_mode) or seen.st_nlink != 1:
        raise _no_upload()
    return path_of(fd)


def _no_upload() -> NotFound:
    return NotFound("There is no such upload.")


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_suffix(".json").unlink(missing_ok=True)


def _at(folder: Path, upload_id: UUID, user: int, size_bytes: int) -> Upload:
    path = folder / f"{upload_id}.image"
    return Upload(id=upload_id, path=path, user=user, size_bytes=size_bytes)


def _all(folder: Path) -> Iterator[Upload]:
    for path in sorted(folder.glob("*.json")):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            one = _at(folder, UUID(path.stem), int(told["user"]), int(told["size_bytes"]))
            one.path.stat()
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it is being made, or taken away
        yield one


def _forget(upload: Upload) -> bool:
    """Delete an upload that nobody continued for a day."""
    if time.time() - upload.path.stat().st_mtime < _FORGOTTEN_AFTER_S:
        return False
    drop(upload)
    return True
