"""A classroom with all that was wished: its seats, then their identities, then warm baselines."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from pizarra.errors import Unsupported
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.facts import Classroom
from pizarra.model.outcome import WELL, Outcome, Report, SeatOutcome
from pizarra.model.sentence import Sentence
from pizarra.planner.checkpoints import checkpoints
from pizarra.planner.identity import Person
from pizarra.planner.warm import WARM
from pizarra.service import classrooms
from pizarra.service.context import Context
from pizarra.service.identity import identified
from pizarra.service.warm import warmed


def made(context: Context, spec: ClassroomSpec, person: Person | None = None) -> Report:
    """Seats are made all or none; what one of them lacks after that is told of it."""
    began = time.perf_counter()
    wish = _with_the_templates_wish(context, spec)
    report = classrooms.created(context, spec)
    numbers = list(range(1, spec.seats + 1))
    outcomes = {one.seat: one for one in report.seats}
    if wish.identify:
        outcomes |= {one.seat: one for one in _identified(context, spec.name, numbers, person)}
    if wish.warm:
        outcomes |= {one.seat: one for one in _warmed(context, spec.name, numbers)}
    return replace(report, elapsed_s=time.perf_counter() - began, seats=tuple(outcomes.values()))


def _with_the_templates_wish(context: Context, spec: ClassroomSpec) -> ClassroomSpec:
    """Raises Unsupported, NotFound before anything is made."""
    template = context.host.observe().template(spec.template, spec.storage, spec.vg, spec.version)
    spec = replace(spec, warm=spec.warm or template.warm)
    able = context.host.storages.capabilities[template.kind].checkpoints
    if (spec.identify or spec.warm) and not able:
        raise Unsupported(
            "The template {name} is on {kind}, where a seat has no original of its own.",
            "Identities and warm baselines need lvm-thin or qcow2.",
            name=spec.template,
            kind=template.kind,
        )
    return spec


def lacking(context: Context, spec: ClassroomSpec, present: Classroom) -> dict[str, list[int]]:
    """The seats that a file wishes more for: by ``identity`` and ``warm``."""
    there = checkpoints(context.host.observe().volumes.values(), present.name)
    warm = next((one.volumes for one in there if one.name == WARM), {})
    return {
        "identity": [s.number for s in present.seats if spec.identify and s.identity is None],
        "warm": [s.number for s in present.seats if spec.warm and s.number not in warm],
    }


def completed(context: Context, spec: ClassroomSpec, present: Classroom) -> tuple[SeatOutcome, ...]:
    """Give them that. What is on those goes, as by a reset."""
    wanted, outcomes = lacking(context, spec, present), dict[str, SeatOutcome]()
    if wanted["identity"]:
        seats = _identified(context, spec.name, wanted["identity"], None)
        outcomes |= {one.seat: one for one in seats}
    # an identity makes a warm baseline of before it too old
    if warm := sorted({*wanted["warm"], *(wanted["identity"] if spec.warm else ())}):
        outcomes |= {one.seat: one for one in _warmed(context, spec.name, warm)}
    return tuple(outcomes.values())


def _identified(
    context: Context, name: str, numbers: Sequence[int], person: Person | None
) -> tuple[SeatOutcome, ...]:
    return identified(context, name, numbers, person=person).seats


def _warmed(context: Context, name: str, numbers: Sequence[int]) -> tuple[SeatOutcome, ...]:
    """A machine that cannot be warm is made all the same: it starts cold."""
    return tuple(
        one
        if one.outcome in WELL
        else replace(
            one,
            outcome=Outcome.DONE,
            reason=Sentence("it has no warm baseline: {why}", why=one.reason or "-"),
        )
        for one in warmed(context, name, numbers).seats
    )
