"""Make a classroom with all that was wished: seats, then their identities, then warm baselines."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from pizarra.errors import Unsupported
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.facts import Template
from pizarra.model.outcome import WELL, Outcome, Report, SeatOutcome
from pizarra.model.sentence import Sentence
from pizarra.planner.checkpoints import checkpoints
from pizarra.planner.host_facts import HostFacts
from pizarra.planner.identity import Person
from pizarra.planner.warm import WARM
from pizarra.service import classrooms
from pizarra.service.context import Context
from pizarra.service.identity import identify
from pizarra.service.warm import warm


def create(
    context: Context, spec: ClassroomSpec, person: Person | None = None, id_: str = ""
) -> Report:
    """Make the seats: all of them, or none. When an identity or a warm baseline fails, the seat's
    outcome says so. ``id_`` is the id of the new classroom; without it one is made."""
    began = time.perf_counter()
    facts = context.host.observe()
    template = facts.template(spec.template, spec.storage, spec.vg, spec.version)
    wish = replace(spec, warm=spec.warm or template.warm)
    check_possible(context, template, wish)
    report = classrooms.create(context, spec, id_)
    numbers = list(range(1, spec.seats + 1))
    outcomes = {one.seat: one for one in report.seats}
    if wish.identify:
        named = identify(context, spec.name, numbers, person=person)
        outcomes |= {one.seat: one for one in named.seats}
    if wish.warm:
        outcomes |= {one.seat: one for one in _warm(context, spec.name, numbers)}
    return replace(report, elapsed_s=time.perf_counter() - began, seats=tuple(outcomes.values()))


def check_possible(context: Context, template: Template, spec: ClassroomSpec) -> None:
    """Check the wish before anything is made or changed. Raises Unsupported."""
    able = context.host.storages.capabilities[template.kind].checkpoints
    if (spec.identify or spec.warm) and not able:
        raise Unsupported(
            "The template {name} is on {kind}, where a seat has no original of its own.",
            "Identities and warm baselines need lvm-thin or qcow2.",
            name=spec.template,
            kind=template.kind,
        )


def missing_parts(facts: HostFacts, spec: ClassroomSpec) -> dict[str, list[int]]:
    """The seats that lack what the file wishes: those without an identity, and those without a warm
    baseline."""
    seats = facts.classroom(spec.name).seats
    there = checkpoints(facts.volumes.values(), spec.name)
    warm = next((one.volumes for one in there if one.name == WARM), {})
    return {
        "identity": [seat.number for seat in seats if spec.identify and seat.identity is None],
        "warm": [seat.number for seat in seats if spec.warm and seat.number not in warm],
    }


def complete(context: Context, spec: ClassroomSpec) -> tuple[SeatOutcome, ...]:
    """Give these seats what they lack. Their present content goes, as in a reset."""
    wanted, outcomes = missing_parts(context.host.observe(), spec), dict[str, SeatOutcome]()
    if wanted["identity"]:
        named = identify(context, spec.name, wanted["identity"])
        outcomes |= {one.seat: one for one in named.seats}
    # an identity makes a warm baseline of before it too old
    if warm := sorted({*wanted["warm"], *(wanted["identity"] if spec.warm else ())}):
        outcomes |= {one.seat: one for one in _warm(context, spec.name, warm)}
    return tuple(outcomes.values())


def _warm(context: Context, name: str, numbers: Sequence[int]) -> tuple[SeatOutcome, ...]:
    """Make warm baselines. A machine for which that fails is a seat all the same: it starts
    cold."""
    return tuple(
        one
        if one.outcome in WELL
        else replace(
            one,
            outcome=Outcome.DONE,
            reason=Sentence("it has no warm baseline: {why}", why=one.reason or "-"),
        )
        for one in warm(context, name, numbers).seats
    )
