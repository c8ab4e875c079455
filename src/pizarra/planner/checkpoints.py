"""Checkpoints: named saved states of seats, read off their volumes; and what is done with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pizarra.errors import AlreadyExists, BadInput, NotFound, Unsupported
from pizarra.model.facts import Power, Seat, StorageKind, Volume, labelled
from pizarra.model.labels import IDENTITY, CheckpointLabels
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
from pizarra.storage.interface import Capabilities, NewCheckpoint, NewVolume


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One name in one classroom."""

    name: str
    classroom: str
    saved: int  # when the first of its volumes was, in seconds since 1970
    volumes: Mapping[int, tuple[Volume[CheckpointLabels], ...]]  # by the seat's number

    @property
    def seats(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(seat_name(self.classroom, number) for number in sorted(self.volumes))

    @property
    def ram_bytes(self) -> int:
        """Of all machines of which it was saved too."""
        return sum(volume.labels.ram_bytes for volume in self.all_volumes)

    @property
    def all_volumes(self) -> list[Volume[CheckpointLabels]]:
        """Of every seat."""
        return [volume for number in sorted(self.volumes) for volume in self.volumes[number]]


def checkpoints(volumes: Iterable[Volume], classroom: str) -> tuple[Checkpoint, ...]:
    """Those of a classroom, the oldest first."""
    found: dict[str, dict[int, list[Volume[CheckpointLabels]]]]
    found = defaultdict(lambda: defaultdict(list))
    for volume in labelled(volumes, CheckpointLabels):
        if volume.labels.classroom == classroom:
            found[volume.labels.checkpoint][volume.labels.seat].append(volume)
    made = [
        Checkpoint(
            name=name,
            classroom=classroom,
            saved=min(v.labels.saved_at for vs in by_seat.values() for v in vs),
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


def of_seats(volumes: Iterable[Volume], seats: Sequence[Seat]) -> list[Volume[CheckpointLabels]]:
    """All checkpoint volumes of these seats: they go with them."""
    wanted = {(seat.classroom, seat.number) for seat in seats}
    return [
        volume
        for volume in labelled(volumes, CheckpointLabels)
        if (volume.labels.classroom, volume.labels.seat) in wanted
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


def new_volumes(name: str, seat: Seat, saved_at: int, ram_bytes: int = 0) -> list[NewCheckpoint]:
    """For each disk of a seat, what its saved state will be. The RAM is saved with the first."""
    made: list[NewCheckpoint] = []
    for volume in seat.volumes:
        labels = CheckpointLabels(
            checkpoint=name,
            saved_at=saved_at,
            ram_bytes=ram_bytes if volume == seat.volumes[0] else 0,
            classroom=seat.classroom,
            seat=seat.number,
            machine=seat.machine,
            disk=volume.labels.disk,
            template=volume.labels.template,
            version=volume.labels.version,
            content_version=volume.labels.content_version,
            baseline=volume.labels.baseline,
            firmware=volume.labels.firmware,
            firmware_state=volume.labels.firmware_state,
            hardware=volume.labels.hardware,
            memory_bytes=seat.record.memory_bytes,
            vcpus=seat.record.vcpus,
            network=seat.record.network,
        )
        # by number: an adopted machine may have any name
        of_it = disk_name(seat_name(seat.classroom, seat.number, seat.machine), labels.disk)
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
    saved = {volume.labels.disk: volume for volume in checkpoint.volumes.get(source, ())}
    if not saved:
        reason = Sentence("it has no checkpoint {name}", name=checkpoint.name)
        return SeatPlan(seat=seat, outcome=Outcome.SKIPPED, reason=reason)
    sources = {v.uuid: saved[v.labels.disk] for v in seat.volumes if v.labels.disk in saved}
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
    has_ram = source == seat.number and any(v.labels.ram_bytes for v in sources.values())
    starting = Step.WAKE if has_ram else Step.START
    stops = (Step.STOP,) if on else ()
    starts = (starting,) if on or seat.name in cut_off.ran else ()
    return SeatPlan(
        seat=seat,
        steps=(*stops, Step.REWIND, Step.PROVE, *starts),
        sources=sources,
        no_undo=not_undoable(seat, capabilities),
    )
