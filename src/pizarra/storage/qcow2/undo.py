"""What a reset takes away of a qcow2 seat: its old overlay, kept beside the new one.

``.net-07.qcow2.kept`` is a hard link, first under ``.moving``, made before another overlay takes
the name; it takes the place of an older one afterwards. So there is no moment without the student's
work, nor without an undo. An exchange is a link and two renames. What moves and is not the image
any more is what is kept: the files tell how far it came.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pizarra.errors import StorageFault
from pizarra.model.facts import Volume
from pizarra.storage.qcow2.checks import check_expected, check_unheld, refusals
from pizarra.storage.qcow2.sidecar import sidecar_path

_KEPT, _MOVING = ".kept", ".moving"


def undo_path(image: Path) -> Path:
    """Where the old overlay of an image is, if it is kept."""
    return image.with_name(f".{image.name}{_KEPT}")


def _moving_path(image: Path) -> Path:
    return image.with_name(f".{image.name}{_MOVING}")


def discard_later(image: Path) -> None:
    """Another content is about to have its name; ``kept`` when it has."""
    with refusals("keep", image):
        _finish(image)
        if image.exists():
            os.link(image, _moving_path(image))


def save_undo(image: Path) -> None:
    """What went is kept, instead of an older content; of an image that was not there, nothing."""
    with refusals("keep", image):
        if not _moving_path(image).exists():
            undo_path(image).unlink(missing_ok=True)
        _finish(image)


def has_undo(image: Path) -> bool:
    """Whether there is another content of it."""
    return bool(undo_generation(image))


def undo_generation(image: Path) -> str:
    """Which file is kept; "" for none. A link to the image itself was for a step not taken."""
    for path in (_moving_path(image), undo_path(image)):
        with suppress(FileNotFoundError):
            file = path.stat().st_ino
            if not image.exists() or image.stat().st_ino != file:
                return str(file)
    return ""


def discard_undo(image: Path) -> None:
    """Fine if nothing is kept."""
    with refusals("remove", image):
        undo_path(image).unlink(missing_ok=True)
        _moving_path(image).unlink(missing_ok=True)


def swap_with_undo(seat: Volume) -> None:
    """What is kept and what is there change places. Raises StorageFault, NotOurs, Busy."""
    check_expected(seat)
    check_unheld(seat)
    old, moving = undo_path(seat.path), _moving_path(seat.path)
    if not has_undo(seat.path):
        raise StorageFault("Nothing is kept of what a reset took away.")
    with refusals("exchange", seat.path):
        _finish(seat.path)
        os.link(seat.path, moving)
        old.replace(seat.path)
        moving.replace(old)


@contextmanager
def swapping(folder: Path) -> Iterator[None]:
    """Contents of images in it change hands: what is under way is not to be settled. Raises
    StorageFault."""
    with refusals("read", folder):
        fd = _locking(folder, fcntl.LOCK_SH)
    try:
        yield
    finally:
        os.close(fd)


def _locking(folder: Path, how: int) -> int:
    """The lock lasts until what this returns is closed."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, how)
    except OSError:
        os.close(fd)
        raise
    return fd


def repair_after_crash(folder: Path, images: set[Path]) -> int:
    """After a crash; and what is kept of images that are gone is dropped. How many there were.
    Nothing, while somebody is at work: he leaves nothing behind, or the next one settles it."""
    try:
        fd = _locking(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (FileNotFoundError, BlockingIOError):
        return 0
    try:
        return _repair(folder, images)
    finally:
        os.close(fd)


def _repair(folder: Path, images: set[Path]) -> int:
    count = 0
    for file in list(folder.iterdir()):
        for suffix in (_KEPT, _MOVING):
            if not (file.name.startswith(".") and file.name.endswith(suffix)):
                continue
            image = folder / file.name.removeprefix(".").removesuffix(suffix)
            if not image.exists():
                if not sidecar_path(image).exists():  # else somebody took the image away
                    file.unlink()
                    count += 1
            elif image not in images:
                continue  # its label is damaged: what is kept waits until that is mended
            elif suffix == _MOVING:
                count += 1
                _finish(image)
            elif not has_undo(image):
                count += 1
                file.unlink()
    return count


def _finish(image: Path) -> None:
    """What moves and is the image's still was for a step not taken."""
    moving, old = _moving_path(image), undo_path(image)
    if moving.exists() and not (image.exists() and moving.samefile(image)):
        moving.replace(old)
    moving.unlink(missing_ok=True)  # also where both were the same file: then a rename does nothing
