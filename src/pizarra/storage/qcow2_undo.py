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
from pizarra.storage.qcow2_checks import expected_checked, refusals, unheld_checked
from pizarra.storage.qcow2_sidecar import sidecar_path

_KEPT, _MOVING = ".kept", ".moving"


def kept_path(image: Path) -> Path:
    """Where the old overlay of an image is, if it is kept."""
    return image.with_name(f".{image.name}{_KEPT}")


def _moving_path(image: Path) -> Path:
    return image.with_name(f".{image.name}{_MOVING}")


def going(image: Path) -> None:
    """Another content is about to have its name; ``kept`` when it has."""
    with refusals("keep", image):
        _ended(image)
        if image.exists():
            os.link(image, _moving_path(image))


def kept(image: Path) -> None:
    """What went is kept, instead of an older content; of an image that was not there, nothing."""
    with refusals("keep", image):
        if not _moving_path(image).exists():
            kept_path(image).unlink(missing_ok=True)
        _ended(image)


def is_kept(image: Path) -> bool:
    """Whether there is another content of it."""
    return bool(mark(image))


def mark(image: Path) -> str:
    """Which file is kept; "" for none. A link to the image itself was for a step not taken."""
    for path in (_moving_path(image), kept_path(image)):
        with suppress(FileNotFoundError):
            file = path.stat().st_ino
            if not image.exists() or image.stat().st_ino != file:
                return str(file)
    return ""


def dropped(image: Path) -> None:
    """Fine if nothing is kept."""
    with refusals("remove", image):
        kept_path(image).unlink(missing_ok=True)
        _moving_path(image).unlink(missing_ok=True)


def exchanged(seat: Volume) -> None:
    """What is kept and what is there change places. Raises StorageFault, NotOurs, Busy."""
    expected_checked(seat)
    unheld_checked(seat)
    old, moving = kept_path(seat.path), _moving_path(seat.path)
    if not is_kept(seat.path):
        raise StorageFault("Nothing is kept of what a reset took away.")
    with refusals("exchange", seat.path):
        _ended(seat.path)
        os.link(seat.path, moving)
        old.replace(seat.path)
        moving.replace(old)


@contextmanager
def steps_taken(folder: Path) -> Iterator[None]:
    """Contents of images in it change hands: what is under way is not to be settled. Raises
    StorageFault."""
    with refusals("read", folder):
        fd = _flocked(folder, fcntl.LOCK_SH)
    try:
        yield
    finally:
        os.close(fd)


def _flocked(folder: Path, how: int) -> int:
    """The lock lasts until what this returns is closed."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, how)
    except OSError:
        os.close(fd)
        raise
    return fd


def settled(folder: Path, images: set[Path]) -> int:
    """After a crash; and what is kept of images that are gone is dropped. How many there were.
    Nothing, while somebody is at work: he leaves nothing behind, or the next one settles it."""
    try:
        fd = _flocked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (FileNotFoundError, BlockingIOError):
        return 0
    try:
        return _settled(folder, images)
    finally:
        os.close(fd)


def _settled(folder: Path, images: set[Path]) -> int:
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
                _ended(image)
            elif not is_kept(image):
                count += 1
                file.unlink()
    return count


def _ended(image: Path) -> None:
    """What moves and is the image's still was for a step not taken."""
    moving, old = _moving_path(image), kept_path(image)
    if moving.exists() and not (image.exists() and moving.samefile(image)):
        moving.replace(old)
    moving.unlink(missing_ok=True)  # also where both were the same file: then a rename does nothing
