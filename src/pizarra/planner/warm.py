"""A warm reset: machines that have booted once wake from there, without a boot.

A warm baseline is a checkpoint of that name, made of original machines once they had booted, with
their RAM. Its disks and RAM are of one instant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pizarra.model.facts import Seat, Volume
from pizarra.model.labels import CheckpointLabels
from pizarra.model.outcome import Mode
from pizarra.model.sentence import Sentence
from pizarra.planner.checkpoints import checkpoints
from pizarra.planner.reset import ResetPlan, SeatPlan, Step

WARM = "warm"
_BEFORE = (Step.STOP, Step.DROP_RAM, Step.REDEFINE)


def plan_warm(plan: ResetPlan, volumes: Iterable[Volume]) -> ResetPlan:
    """A cold plan, in which machines that are to run wake; who cannot starts cold, and why."""
    there = checkpoints(volumes, plan.classroom)
    saved = next((one.volumes for one in there if one.name == WARM), {})
    seats = tuple(_warm(one, saved.get(one.seat.number, ())) for one in plan.seats)
    return replace(plan, mode=Mode.WARM, seats=seats)


def _warm(one: SeatPlan, saved: tuple[Volume[CheckpointLabels], ...]) -> SeatPlan:
    if Step.START not in one.steps:
        return one
    by_disk = {volume.labels.disk: volume for volume in saved}
    if why := _not_warm(one.seat, by_disk):
        return replace(one, reason=Sentence("it starts cold: {why}", why=why))
    before = tuple(step for step in one.steps if step in _BEFORE)
    steps = (*before, Step.REWIND, Step.PROVE, Step.WAKE)
    sources = {v.uuid: by_disk[v.labels.disk] for v in one.seat.volumes}
    return replace(one, steps=steps, outcome=None, sources=sources)


def _not_warm(seat: Seat, saved: Mapping[str, Volume[CheckpointLabels]]) -> str | None:
    if not saved or any(v.labels.disk not in saved for v in seat.volumes):
        return Sentence("it has no warm baseline (pizarra classroom warm)")
    if fault := next((one.fault for one in saved.values() if one.fault), None):
        return fault
    now, then, record = seat.labels, saved[seat.labels.disk].labels, seat.record
    if (then.version, then.baseline) != (now.version, now.baseline):
        return Sentence("its warm baseline is of v{version}", version=then.version)
    machine = (record.memory_bytes, record.vcpus, record.network)
    if (then.memory_bytes, then.vcpus, then.network) != machine:
        return Sentence("its machine has changed since its warm baseline was made")
    if seat.identity and then.saved_at < seat.identity.saved_at:
        return Sentence("its warm baseline is older than its identity (pizarra classroom warm)")
    return None if then.ram_bytes else Sentence("its warm baseline has no RAM")
