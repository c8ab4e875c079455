"""What a reset takes away of a qcow2 seat: its old overlay, kept beside the new one.

``.net-07.qcow2.kept`` is a hard link made before the new overlay takes the name, so there is no
moment without the student's work. An exchange is a link and two renames; the files tell how far it
came.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from pizarra.errors import StorageFault
from pizarra.model.facts import Volume
from pizarra.storage.qcow2_checks import expected_checked, refusals, unheld_checked

_KEPT, _MOVING = ".kept", ".moving"


def kept_path(image: Path) -> Path:
    """Where the old overlay of an image is, if it is kept."""
    return image.with_name(f".{image.name}{_KEPT}")


def _moving_path(image: Path) -> Path:
    return image.with_name(f".{image.name}{_MOVING}")


def kept(image: Path) -> None:
    """Keep what is there now. Nothing is kept of an image that is not there."""
    with refusals("keep", image):
        if image.exists():
            os.link(image, kept_path(image))


def is_kept(image: Path) -> bool:
    """Whether there is another content of it: a link to the same was for a step not taken."""
    old = kept_path(image)
    return old.exists() and not (image.exists() and old.samefile(image))


def mark(image: Path) -> str:
    """Which file is kept; one that moves is kept when that is ended. "" for none."""
    for path in (kept_path(image), _moving_path(image)):
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
    if not old.exists():
        raise StorageFault("Nothing is kept of what a reset took away.")
    with refusals("exchange", seat.path):
        moving.unlink(missing_ok=True)
        os.link(seat.path, moving)
        old.replace(seat.path)
        moving.replace(old)


def settled(folder: Path, images: set[Path]) -> int:
    """After a crash; and what is kept of images that are gone is dropped. How many there were."""
    count = 0
    for file in list(folder.iterdir()) if folder.is_dir() else []:
        for suffix in (_KEPT, _MOVING):
            if not (file.name.startswith(".") and file.name.endswith(suffix)):
                continue
            image = folder / file.name.removeprefix(".").removesuffix(suffix)
            if not image.exists():
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
    moving, old = _moving_path(image), kept_path(image)
    if old.exists():  # the second rename never came: what moves is still there under its name
        moving.unlink()
    else:
        moving.replace(old)
