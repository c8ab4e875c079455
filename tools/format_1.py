"""Gives a host back to version ab156f6: `python -m tools.format_1`, as root, with no job under way.

That version reads labels of format 1 only, and takes a volume with others for damaged. So the last
thing that this version does is to write all labels as that version did. It prints what format 1
cannot say. It may be run again; `pizarra recover` of this version writes format 2 again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from pizarra.errors import PizarraError
from pizarra.model.classroom_record import ClassroomRecord
from pizarra.model.facts import Volume
from pizarra.model.labels import PREFIX, Labels, SeatLabels, seat_labels_of
from pizarra.model.labels_1 import KEYS
from pizarra.service.context import Context, context_here
from pizarra.storage.kinds import Kind
from pizarra.storage.lvm.commands import set_labels
from pizarra.storage.lvm.volumes import lvm_batch
from pizarra.storage.qcow2.sidecar import Sidecar, replace_sidecar

_OF_RECORD = ("memory_bytes", "vcpus", "network", "power_after_reset", "modes", "reset_by",
              "undo_hours", "minutes")  # fmt: skip
_NEW = {"format", "becomes", "id", "classroom", "template", "version"}  # said elsewhere, or never


@dataclass(frozen=True, slots=True)
class Format1:
    """Labels of one volume, as version ab156f6 wrote them; `lost` are those that it had not."""

    texts: Mapping[str, str]
    lost: frozenset[str]

    def to_dict(self) -> Mapping[str, str]:
        """Of a sidecar."""
        return self.texts

    def to_tags(self) -> tuple[str, ...]:
        """Of a logical volume."""
        return tuple(f"{PREFIX}{key}={text}" for key, text in self.texts.items())


def format_1_of(labels: Labels, record: ClassroomRecord | None = None) -> Format1:
    """A seat's volumes had all of the record of their classroom."""
    texts = labels.to_dict()
    lost = set(texts) - set(KEYS.values())
    if isinstance(labels, SeatLabels) and record is not None:
        told = record.to_dict()
        texts |= {key: told[key] for key in _OF_RECORD if key in told}
        lost |= set(told) - set(_OF_RECORD)
    old = {then: texts[now] for then, now in KEYS.items() if now in texts}
    return Format1(old, frozenset(lost - _NEW))


def write_format_1(context: Context) -> list[str]:
    """Write all labels of a host in format 1. Returns what each lost. Raises PizarraError."""
    facts = context.host.observe()
    said = []
    for volume in facts.volumes.values():
        if volume.labels is None or volume.fault:
            continue
        seat = seat_labels_of(volume.labels)
        room = facts.classrooms.get(seat.classroom) if seat else None
        old = format_1_of(volume.labels, room.record if room else None)
        _write(volume, old)
        _name_undo(context, volume)
        said += [f"{volume.name}: {key}" for key in sorted(old.lost)]
    for one in facts.records:
        context.host.storages.at(one.kind, one.place).remove_record(one.classroom)
    return said


def _write(volume: Volume, old: Format1) -> None:
    labels = cast(Any, old)  # of no use to this version, which has no class for it
    if volume.kind is Kind.QCOW2:
        replace_sidecar(volume.path, Sidecar(volume.uuid, labels))
    elif command := set_labels(volume, labels):
        lvm_batch([command])


def _name_undo(context: Context, volume: Volume) -> None:
    """That version knew one undo of a firmware state, in whichever slot its disks are."""
    kept, folder = context.host.undo_index.get(volume), context.host.states.folder
    if kept is not None and kept.slot is not None:
        with suppress(FileNotFoundError):
            (folder / f"{volume.uuid}.undo-{kept.slot}").rename(folder / f"{volume.uuid}.undo")


def main() -> int:
    """1 when something is under way, or cannot be written."""
    context = context_here()
    try:
        if any(context.host.journal.records()):
            sys.stderr.write("Something is under way: pizarra recover\n")
            return 1
        lost = write_format_1(context)
    except PizarraError as error:
        sys.stderr.write(f"{error}\n{error.advice}\n")
        return 1
    lines = [*(f"not in format 1: {one}" for one in lost), "All labels are in format 1."]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
