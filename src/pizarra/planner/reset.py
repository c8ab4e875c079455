"""A reset as a plan: what happens to each seat, before anything does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pizarra.model.definition import Grade
from pizarra.model.facts import Power, Seat, StorageKind, Volume
from pizarra.model.labels import ResetMethod
from pizarra.model.outcome import Mode, Outcome
from pizarra.model.policy import After
from pizarra.model.sentence import N_, Sentence
from pizarra.planner.drift import reset_fault, to_keep, to_put_right, words
from pizarra.storage.interface import Capabilities, Change, RewindTarget


class Step(StrEnum):
    """What is done to a seat, in this order."""

    STOP = N_("stop")
    PAUSE = N_("pause")
    PRESS = N_("press")  # the reset button of a machine that is paused
    DROP_RAM = N_("drop RAM")  # that libvirt saved
    REDEFINE = N_("redefine")  # the machine as it was made
    REWIND = N_("rewind")
    PROVE = N_("prove")
    UNDO = N_("undo")  # back to what the last reset took away
    START = N_("start")
    WAKE = N_("wake")  # from the RAM that was saved with the disks
    RESUME = N_("resume")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatPlan:
    """One seat: steps to take, or an outcome already and its reason."""

    seat: Seat
    steps: tuple[Step, ...] = ()
    outcome: Outcome | None = None  # what it will be without a rewind
    reason: str | None = None
    no_undo: str | None = None  # why this reset could not be taken back
    redefined: str | None = None  # what of its machine's definition is put right
    kept: str | None = None  # what of it stays as somebody changed it
    sources: Mapping[str, Volume] | None = None  # of a checkpoint, by the UUID of the volume

    @property
    def pairs(self) -> tuple[RewindTarget, ...]:
        """Its volumes, each with its baseline, or with what it goes to instead."""
        if self.sources is None:
            return pairs_of(self.seat)
        volumes = self.seat.volumes
        return tuple(RewindTarget(volume=one, source=self.sources[one.uuid]) for one in volumes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPlan:
    """The whole of a reset: what ``--dry-run`` prints and the engine carries out."""

    classroom: str
    mode: Mode
    seats: tuple[SeatPlan, ...]
    verb: str = "reset"

    def to_json(self) -> dict[str, Any]:
        """For ``--dry-run --json``."""
        return {
            "classroom": self.classroom,
            "verb": self.verb,
            "mode": str(self.mode),
            "dry_run": True,
            "seats": [
                {
                    "seat": one.seat.name,
                    "steps": [str(step) for step in one.steps],
                    "outcome": str(one.outcome) if one.outcome else None,
                    "reason": one.reason,
                    "no_undo": one.no_undo,
                    "redefined": one.redefined,
                    "kept": one.kept,
                }
                for one in self.seats
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOff:
    """Seats, by name, of a rewind that was cut off and now is given again."""

    left: frozenset[str] = frozenset()  # it was not done of these
    ran: frozenset[str] = frozenset()  # these machines were on, and were to be on again


NOTHING_CUT_OFF = CutOff()


def pairs_of(seat: Seat) -> tuple[RewindTarget, ...]:
    """Its volumes, each with its baseline; only those whose baseline is there."""
    return tuple(
        RewindTarget(volume=volume, source=seat.baselines[volume.uuid])
        for volume in seat.volumes
        if volume.uuid in seat.baselines
    )


def worth_proving(seats: Iterable[Seat]) -> list[RewindTarget]:
    """The volumes of seats that are off: they may be original still, and then need nothing."""
    return [
        pair
        for seat in seats
        if seat.fault is None and seat.power in (Power.OFF, Power.ABSENT)
        for pair in pairs_of(seat)
    ]


def plan_reset(
    classroom: str,
    seats: Sequence[Seat],
    mode: Mode,
    after: After,
    changes: Mapping[str, Change | Exception],
    capabilities: Mapping[StorageKind, Capabilities],
    cut_off: CutOff = NOTHING_CUT_OFF,
) -> ResetPlan:
    """``changes`` tells, by volume UUID, what was proven of the seats that are off."""
    plans = tuple(_seat_plan(seat, mode, after, changes, capabilities, cut_off) for seat in seats)
    return ResetPlan(classroom=classroom, mode=mode, seats=plans)


def _seat_plan(
    seat: Seat,
    mode: Mode,
    after: After,
    changes: Mapping[str, Change | Exception],
    capabilities: Mapping[StorageKind, Capabilities],
    cut_off: CutOff,
) -> SeatPlan:
    if untouchable := untouchable_plan(seat):
        return untouchable
    if why := reset_fault(seat):
        return SeatPlan(seat=seat, outcome=Outcome.UNKNOWN, reason=why)
    on = seat.power is not Power.OFF
    ran = on or seat.name in cut_off.ran
    if on and mode is Mode.HOT and (why := _not_hot(seat, capabilities)):
        return SeatPlan(seat=seat, outcome=Outcome.SKIPPED, reason=why)
    starts = (Step.START,) if after is After.RUNNING or (ran and after is After.AS_FOUND) else ()
    machine = _machine_steps(seat)
    if (
        not on
        and not machine
        and seat.name not in cut_off.left
        and not seat.labels.content_version
        and all(_is_original(changes.get(volume.uuid)) for volume in seat.volumes)
    ):
        return SeatPlan(
            seat=seat, steps=starts, outcome=Outcome.UNCHANGED, kept=words(to_keep(seat))
        )
    no_undo = not_undoable(seat, capabilities)
    if on and mode is Mode.HOT and starts:
        steps: tuple[Step, ...] = (
            Step.PAUSE,
            Step.PRESS,
            Step.REWIND,
            Step.PROVE,
            Step.RESUME,
        )
    else:
        stops = (Step.STOP,) if on else ()
        steps = (*stops, *machine, Step.REWIND, Step.PROVE, *starts)
    return SeatPlan(
        seat=seat,
        steps=steps,
        no_undo=no_undo,
        redefined=words(to_put_right(seat)) if Step.REDEFINE in steps else None,
        kept=words(to_keep(seat)),
    )


def _machine_steps(seat: Seat) -> tuple[Step, ...]:
    """What puts its machine right, beside its disks."""
    drops = (Step.DROP_RAM,) if seat.has_saved_ram else ()
    return (*drops, Step.REDEFINE) if to_put_right(seat) else drops


def untouchable_plan(seat: Seat) -> SeatPlan | None:
    """The plan for a seat that nothing may be done to, and why."""
    if seat.fault:
        return SeatPlan(seat=seat, outcome=Outcome.UNKNOWN, reason=seat.fault)
    if seat.power is Power.ABSENT:
        return SeatPlan(
            seat=seat,
            outcome=Outcome.UNKNOWN,
            reason=N_("its machine is gone: run pizarra recover"),
        )
    return None


def not_undoable(seat: Seat, capabilities: Mapping[StorageKind, Capabilities]) -> str | None:
    """Why a reset of it could not be taken back; None when it can."""
    for volume in seat.volumes:
        if volume.labels and volume.labels.reset_method is ResetMethod.MERGE:
            return Sentence("an adopted classic volume keeps nothing of what a reset takes away")
        if not capabilities[volume.kind].undo:
            return Sentence("{kind} keeps nothing of what a reset takes away", kind=volume.kind)
    if seat.labels.content_version:
        return Sentence("it goes to another version of its template")
    return None


def _is_original(change: Change | Exception | None) -> bool:
    return isinstance(change, Change) and change.original


def _not_hot(seat: Seat, capabilities: Mapping[StorageKind, Capabilities]) -> str | None:
    defined = [one for one in to_put_right(seat) if one.grade is not Grade.LIMIT]
    if wrong := (*defined, *seat.drift.live):
        return Sentence("{what}: use --mode cold", what=words(wrong))
    if seat.labels.content_version:
        return Sentence("it goes to another version of its template: use --mode cold")
    if seat.labels.firmware_state:
        text = N_("its {state} cannot be put back while it runs: use --mode cold")
        return Sentence(text, state=seat.labels.firmware_state.replace("+", ", ").upper())
    for volume in seat.volumes:
        if not capabilities[volume.kind].hot_reset:
            return Sentence("{kind} disks cannot be reset hot: use --mode cold", kind=volume.kind)
        if volume.labels and volume.labels.reset_method is ResetMethod.MERGE:
            return Sentence("an adopted classic volume cannot be reset hot: use --mode cold")
    return None
