"""What a reset takes away of a qcow2 seat: its old overlay, beside the new one.

An image has two slots: ``.net-07.qcow2.kept`` and ``.net-07.qcow2.kept-b``. A slot is filled by a
hard link to the image, made before another overlay takes the name of the image by a rename. So
there is no moment without the student's work, and the presence of the link tells an operation that
is done again that this step is done. The journal says which slot it is.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pizarra.errors import StorageFault
from pizarra.model.facts import Volume
from pizarra.model.sentence import N_
from pizarra.model.undo_slot import UndoSlot
from pizarra.storage.interface import InRecords, UndoSwap
from pizarra.storage.qcow2.checks import check_expected, check_unheld, refusals
from pizarra.storage.qcow2.sidecar import sidecar_path

_SUFFIXES = {UndoSlot.A: ".kept", UndoSlot.B: ".kept-b"}
_MOVING = ".moving"  # of a Pizarra without a journal: what goes to ".kept" next


def slot_path(image: Path, slot: UndoSlot) -> Path:
    """Where the old overlay of an image is, if this slot is filled."""
    return image.with_name(f".{image.name}{_SUFFIXES[slot]}")


def _moving_path(image: Path) -> Path:
    return image.with_name(f".{image.name}{_MOVING}")


def filled_slots(image: Path) -> frozenset[UndoSlot]:
    """The slots of an image that hold something."""
    return frozenset(slot for slot in UndoSlot if slot_path(image, slot).exists())


def save_undo(image: Path, slot: UndoSlot) -> None:
    """Another content is about to have the name of this image. Nothing for a slot that is filled,
    and for an image that is not there."""
    with refusals(N_("keep"), image):
        if image.exists() and not slot_path(image, slot).exists():
            os.link(image, slot_path(image, slot))


def discard_undo(image: Path) -> None:
    """Fine if nothing is kept."""
    with refusals(N_("remove"), image):
        for slot in UndoSlot:
            slot_path(image, slot).unlink(missing_ok=True)
        _moving_path(image).unlink(missing_ok=True)


def discard_slot(image: Path, slot: UndoSlot) -> None:
    """Fine if it holds nothing."""
    with refusals(N_("remove"), image):
        slot_path(image, slot).unlink(missing_ok=True)


def swap_with_undo(one: UndoSwap) -> None:
    """What is kept and what is there change places. Raises StorageFault, NotOurs, Busy."""
    image, kept, to = one.volume.path, slot_path(one.volume.path, one.kept), one.to
    if not filled_slots(image):
        raise StorageFault("Nothing is kept of what a reset took away.")
    check_expected(one.volume)
    check_unheld(one.volume)
    save_undo(image, to)
    with refusals(N_("exchange"), image):
        if kept.exists():
            kept.replace(image)


@contextmanager
def swapping(folder: Path) -> Iterator[None]:
    """Contents of images in it change hands: what is under way is not to be settled. Raises
    StorageFault."""
    with refusals(N_("read"), folder):
        fd = _locking(folder, fcntl.LOCK_SH)
    try:
        yield
    finally:
        os.close(fd)


def _locking(folder: Path, how: int) -> int:
    """The lock lasts until what this returns is closed."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # whoever can read the folder can lock it. QEMU's user only passes through
        os.fchmod(fd, stat.S_IMODE(os.fstat(fd).st_mode) & ~0o044)
        fcntl.flock(fd, how)
    except OSError:
        os.close(fd)
        raise
    return fd


def repair_after_crash(folder: Path, volumes: Iterable[Volume], in_records: InRecords) -> int:
    """After a crash; and what is kept of images that are gone is dropped. How many there were.
    Nothing, while somebody is at work: he leaves nothing behind, or the next one settles it."""
    try:
        fd = _locking(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (FileNotFoundError, BlockingIOError):
        return 0
    try:
        explained = in_records()
        images = {one.path for one in volumes if one.uuid not in explained}
        return sum(_repair(file, images) for file in sorted(folder.iterdir()))
    finally:
        os.close(fd)


def _repair(file: Path, images: set[Path]) -> bool:
    """Whether there was anything to do about a file of the folder."""
    for suffix in (*_SUFFIXES.values(), _MOVING):
        if file.name.startswith(".") and file.name.endswith(suffix):
            image = file.with_name(file.name.removeprefix(".").removesuffix(suffix))
            break
    else:
        return False
    if not image.exists():
        if sidecar_path(image).exists():
            return False  # somebody took the image away: this may be all that there is of it
        file.unlink()
        return True
    if image not in images:
        return False  # its label is damaged, or a record is about it: what is kept waits
    if file.samefile(image):  # for a step that was not taken
        file.unlink()
        return True
    if suffix == _MOVING:
        file.replace(slot_path(image, UndoSlot.A))
    return suffix == _MOVING
