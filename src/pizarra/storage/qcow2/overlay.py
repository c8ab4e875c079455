"""Overlays: made alike at the cost of one, put in place whole, measured in two ways."""

from __future__ import annotations

import filecmp
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Lock

from pizarra.errors import NotOurs, OtherOriginal, StorageFault
from pizarra.model.facts import Volume
from pizarra.model.labels import Role
from pizarra.model.sentence import N_
from pizarra.model.undo_slot import UndoSlot
from pizarra.storage.images import run_with_progress
from pizarra.storage.interface import Progress, RewindTarget, is_valid_source
from pizarra.storage.qcow2 import undo as qcow2_undo
from pizarra.storage.qcow2.checks import check_expected, check_unheld, qemu_img, refusals
from pizarra.storage.qcow2.header import read_header
from pizarra.storage.qcow2.report import IMAGE, backing_files
from pizarra.system.file_copies import sync
from pizarra.system.jail import limit
from pizarra.system.process import run

_PAGE_BYTES = 4096
Fresh = Callable[[Volume, int], bytes]  # (golden, size) -> an overlay nobody has written to


@contextmanager
def overlays() -> Iterator[Fresh]:
    """Makes overlays: one process for all that are alike, as qemu-img puts no identity in them."""
    made: dict[tuple[str, int], bytes] = {}
    one_at_a_time = Lock()
    with tempfile.TemporaryDirectory(prefix="pizarra-") as scratch:

        def fresh(golden: Volume, size_bytes: int) -> bytes:
            key = golden.uuid, size_bytes
            with one_at_a_time:
                if key not in made:
                    path = Path(scratch) / f"{len(made)}{IMAGE}"
                    form = ("-q", "-f", "qcow2", "-F", "qcow2", "-b", str(golden.path))
                    qemu_img("create", *form, str(path), str(size_bytes))
                    made[key] = path.read_bytes()
                return made[key]

        yield fresh


def new_path(image: Path) -> Path:
    """Where another one is made that takes its place; left behind by a crash, written over."""
    return image.with_name(f".{image.name}.new")


def _nothing(_: Path) -> None:
    pass


def replace_file(image: Path, data: bytes, *, first: Callable[[Path], None] = _nothing) -> None:
    """Put a whole file in the place of the old one, if there is one, at once; ``first`` is done
    with that when the new one is whole."""
    new = new_path(image)
    with refusals(N_("write"), image):
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(fd, len(data))
            for offset in range(0, len(data), _PAGE_BYTES):
                page = data[offset : offset + _PAGE_BYTES]
                if any(page):
                    os.pwrite(fd, page, offset)
            os.fsync(fd)
        finally:
            os.close(fd)
        first(image)
        new.replace(image)


def rewind_overlay(pair: RewindTarget, fresh: Fresh, slot: UndoSlot | None = None) -> None:
    """Put a fresh overlay of the same size in its place. Raises NotOurs, Busy, StorageFault.

    The old overlay goes to ``slot``; without one, it goes for good.
    """
    check_expected(pair.source)
    seat = pair.volume
    if not is_valid_source(pair):
        raise NotOurs(
            "{path} is left alone: its sidecar does not name this original.",
            "See it: cat {path}.json",
            path=seat.path,
        )
    try:
        check_expected(seat)
        check_unheld(seat)
        with refusals(N_("read"), seat.path):
            size_bytes = max(read_header(seat.path).size_bytes, pair.source.size_bytes)
    except StorageFault:  # no image, or none that can be read: a fresh one mends it
        size_bytes = max(seat.size_bytes, pair.source.size_bytes)
    first = partial(qcow2_undo.save_undo, slot=slot) if slot else _nothing
    if _is_checkpoint(pair.source):
        copy_over(seat.path, pair.source.path, first=first)
    else:
        replace_file(seat.path, fresh(pair.source, size_bytes), first=first)


def _is_checkpoint(volume: Volume) -> bool:
    return volume.labels is not None and volume.labels.role is Role.CHECKPOINT


def copy_over(image: Path, source: Path, *, first: Callable[[Path], None] = _nothing) -> None:
    """A copy of a whole file, as ``placed``; holes stay holes.

    What the copy stands on is looked at in the copy: a QEMU may be writing to the source.
    """
    new = new_path(image)
    try:
        run(["cp", "--reflink=auto", "--sparse=always", str(source), str(new)], timeout_s=3600)
        with refusals(N_("write"), image):
            backing_files(new)
            new.chmod(0o600)
            sync(new)
            first(image)
            new.replace(image)
    finally:
        with suppress(OSError):
            new.unlink(missing_ok=True)


def changed_bytes(pair: RewindTarget, own_bytes: Callable[[Path], int]) -> int:
    """What ``own_bytes`` finds, if it stands on its baseline. Raises NotOurs, StorageFault."""
    check_expected(pair.volume)
    check_expected(pair.source)
    if _is_checkpoint(pair.source):
        with refusals(N_("read"), pair.volume.path):
            same = filecmp.cmp(pair.volume.path, pair.source.path, shallow=False)
        return 0 if same else max(own_bytes(pair.volume.path), 1)
    with refusals(N_("read"), pair.volume.path):
        header = read_header(pair.volume.path)
        if (header.backing, header.backing_format) != (str(pair.source.path), "qcow2"):
            raise OtherOriginal(
                "{name} stands on {backing} and not on {baseline}.",
                "A reset puts it right.",
                name=pair.volume.name,
                backing=header.backing or "nothing",
                baseline=pair.source.path,
            )
        if header.snapshots:
            raise StorageFault(
                "{name} holds snapshots that QEMU made inside it.",
                "A reset removes them with the rest.",
                name=pair.volume.name,
            )
        return own_bytes(pair.volume.path)


def mapped_bytes(image: Path) -> int:
    """What an overlay holds of its own, by ``qemu-img map``. Raises StorageFault."""
    said = qemu_img("map", "--output=json", "-U", "-f", "qcow2", str(image))
    # what a grown overlay has beyond its backing file is of depth 0 too, but not present
    own = (part for part in json.loads(said) if part["depth"] == 0 and part["present"])
    return sum(int(part["length"]) for part in own)


def flatten(image: Path, progress: Progress) -> None:
    """All that it shows is in the file itself. Cut off, it still shows the same; safe to repeat."""
    with refusals(N_("read"), image):
        backing = backing_files(image)
    if backing:
        argv = ["qemu-img", "rebase", "-p", "-f", "qcow2", "-b", "", str(image)]
        if (said := run_with_progress(limit(argv), progress)) is not None:
            raise StorageFault("{path} cannot be made whole: {said}.", path=image, said=said)


def stands_on(other: Volume, golden: Volume) -> bool:
    """Whether the golden volume is the backing file of the other."""
    with suppress(OSError, ValueError):
        return read_header(other.path).backing == str(golden.path)
    return False
