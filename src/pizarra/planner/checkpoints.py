"""Checkpoints: named saved states of seats, read off their volumes; and what is done with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pizarra.errors import AlreadyExists, BadInput, NotFound, Unsupported
from pizarra.model.facts import Power, Seat, StorageKind, Volume
from pizarra.model.labels import IDENTITY, Role
from pizarra.model.names import seat_name
from pizarra.model.outcome import Mode, Outcome
from pizarra.model.sentence import Sentence
from pizarra.planner.provision import disk_name
from pizarra.planner.reset import (
    NOTHING_CUT_OFF,
    CutOff,
    ResetPlan,
    SeatPlan,
    Step,
    not_undoable,
    untouchable_plan,
)
from pizarra.storage.interface import Capabilities, NewVolume


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One name in one classroom."""

    name: str
    classroom: str
    saved: int  # when the first of its volumes was, in seconds since 1970
    volumes: Mapping[int, tuple[Volume, ...]]  # by the seat's number

    @property
    def seats(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(seat_name(self.classroom, number) for number in sorted(self.volumes))

    @property
    def ram_bytes(self) -> int:
        """Of all machines of which it was saved too."""
        return sum(volume.labels.ram for volume in self.all_volumes if volume.labels)

    @property
    def all_volumes(self) -> list[Volume]:
        """Of every seat."""
        return [volume for number in sorted(self.volumes) for volume in self.volumes[number]]


def checkpoints(volumes: Iterable[Volume], classroom: str) -> tuple[Checkpoint, ...]:
    """Those of a classroom, the oldest first."""
    found: dict[str, dict[int, list[Volume]]] = defaultdict(lambda: defaultdict(list))
    for volume in volumes:
        labels = volume.labels
        if labels and labels.role is Role.CHECKPOINT and labels.classroom == classroom:
            found[labels.checkpoint][labels.seat].append(volume)
    made = [
        Checkpoint(
            name=name,
            classroom=classroom,
            saved=min(v.labels.saved for vs in by_seat.values() for v in vs if v.labels),
            volumes={number: tuple(vs) for number, vs in by_seat.items()},
        )
        for name, by_seat in found.items()
    ]
    return tuple(sorted(made, key=lambda one: (one.saved, one.name)))


def find_checkpoint(volumes: Iterable[Volume], classroom: str, name: str) -> Checkpoint:
    """Raises NotFound naming those there are."""
    there = checkpoints(volumes, classroom)
    for one in there:
        if one.name == name:
            return one
    raise NotFound(
        "The classroom {classroom} has no checkpoint {name}.",
        "It has: {those}." if there else "Save one with: pizarra checkpoint save",
        classroom=classroom,
        name=name,
        those=", ".join(one.name for one in there),
    )


def of_seats(volumes: Iterable[Volume], seats: Sequence[Seat]) -> list[Volume]:
    """All checkpoint volumes of these seats: they go with them."""
    wanted = {(seat.classroom, seat.number) for seat in seats}
    return [
        volume
        for volume in volumes
        if volume.labels
        and volume.labels.role is Role.CHECKPOINT
        and (volume.labels.classroom, volume.labels.seat) in wanted
    ]


def check_unreserved(name: str) -> None:
    """Raises BadInput for the name of what `classroom identify` keeps."""
    if name == IDENTITY:
        raise BadInput(
            "{name} is what a machine's own original is called.",
            "Choose another name; or give machines an identity: pizarra classroom identify",
            name=name,
        )


def check_new(
    there: Iterable[Checkpoint],
    name: str,
    seats: Sequence[Seat],
    capabilities: Mapping[StorageKind, Capabilities],
) -> None:
    """Raises AlreadyExists, Unsupported: before anything is paused."""
    for one in there:
        again = [seat.name for seat in seats if one.name == name and seat.number in one.volumes]
        if again:
            raise AlreadyExists(
                "There is a checkpoint {name} of {seats} already.",
                "Choose another name, or delete it: pizarra checkpoint delete {classroom} {name}",
                name=name,
                seats=", ".join(again),
                classroom=one.classroom,
            )
    for seat in seats:
        for volume in seat.volumes:
            if not capabilities[volume.kind].checkpoints:
                raise Unsupported(
                    "{seat} is on {kind}, which has no checkpoints.",
                    "Checkpoints need lvm-thin or qcow2.",
                    seat=seat.name,
                    kind=volume.kind,
                )


def new_volumes(name: str, seat: Seat, saved: int, ram: int = 0) -> list[tuple[Volume, NewVolume]]:
    """For each disk of a seat, what its saved state will be."""
    made = []
    for volume in seat.volumes:
        assert volume.labels is not None, "a seat is made of labelled volumes"
        labels = volume.labels.but(
            role=Role.CHECKPOINT,
            checkpoint=name,
            saved=saved,
            ram=ram if volume == seat.volumes[0] else 0,
        )
        # by number: an adopted machine may have any name
        of_it = disk_name(seat_name(seat.classroom, seat.number), labels.disk)
        file = f"{of_it}.checkpoint.{name}"
        made.append((volume, NewVolume(labels=labels, size_bytes=volume.size_bytes, name=file)))
    return made


def plan_restore(
    checkpoint: Checkpoint,
    seats: Sequence[Seat],
    capabilities: Mapping[StorageKind, Capabilities],
    *,
    source: int | None = None,
    cut_off: CutOff = NOTHING_CUT_OFF,
) -> ResetPlan:
    """Each seat goes to its own saved state, or all to that of the seat ``source``: a hand-out."""
    plans = tuple(
        _seat_plan(seat, checkpoint, source or seat.number, capabilities, cut_off) for seat in seats
    )
    verb = "checkpoint hand-out" if source else "checkpoint restore"
    return ResetPlan(classroom=checkpoint.classroom, mode=Mode.COLD, seats=plans, verb=verb)


def _seat_plan(
    seat: Seat,
    checkpoint: Checkpoint,
    source: int,
    capabilities: Mapping[StorageKind, Capabilities],
    cut_off: CutOff,
) -> SeatPlan:
    if untouchable := untouchable_plan(seat):
        return untouchable
    saved = {volume.labels.disk: volume for volume in checkpoint.volumes.get(source, ())
             if volume.labels}  # fmt: skip
    if not saved:
        reason = Sentence("it has no checkpoint {name}", name=checkpoint.name)
        return SeatPlan(seat=seat, outcome=Outcome.SKIPPED, reason=reason)
    sources = {v.uuid: saved[v.labels.disk] for v in seat.volumes
               if v.labels and v.labels.disk in saved}  # fmt: skip
    if len(sources) < len(seat.volumes):
        reason = Sentence("the checkpoint {name} lacks a disk of it", name=checkpoint.name)
        return SeatPlan(seat=seat, outcome=Outcome.SKIPPED, reason=reason)
    if any(sources[one.uuid].size_bytes > one.size_bytes for one in seat.volumes):
        reason = Sentence("its disk is smaller than that of the checkpoint {name}",
                          name=checkpoint.name)  # fmt: skip
        return SeatPlan(seat=seat, outcome=Outcome.SKIPPED, reason=reason)
    faults = [volume.fault for volume in sources.values() if volume.fault]
    if faults:
        return SeatPlan(seat=seat, outcome=Outcome.UNKNOWN, reason=faults[0])
    on = seat.power is not Power.OFF
    has_ram = source == seat.number and any(v.labels and v.labels.ram for v in sources.values())
    starting = Step.WAKE if has_ram else Step.START
    stops = (Step.STOP,) if on else ()
    starts = (starting,) if on or seat.name in cut_off.ran else ()
    return SeatPlan(
        seat=seat,
        steps=(*stops, Step.REWIND, Step.PROVE, *starts),
        sources=sources,
        no_undo=not_undoable(seat, capabilities),
    )
