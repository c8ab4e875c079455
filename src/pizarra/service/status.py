"""status: what each seat does and how much of it has changed. It imports only what it needs."""

from __future__ import annotations

import time
from collections.abc import Mapping

from pizarra.engine.halts import Halt, halt_seen, sentence
from pizarra.engine.machines import is_known_by_disks_only
from pizarra.errors import OtherOriginal, PizarraError
from pizarra.model.facts import Power, Seat
from pizarra.model.outcome import Outcome, Report, SeatOutcome
from pizarra.model.sentence import Sentence, join
from pizarra.planner.drift import any_fault, to_keep, words
from pizarra.planner.reset import pairs_of
from pizarra.service.context import Context
from pizarra.service.look import Numbers, look_at_seats
from pizarra.storage.interface import Change


def status(context: Context, classroom: str, numbers: Numbers = None) -> Report:
    """What each seat does, and how much of it has changed, from metadata."""
    began = time.perf_counter()
    facts, seats = look_at_seats(context, classroom, numbers)
    changes = context.host.changes([pair for seat in seats for pair in pairs_of(seat)])
    folder = context.host.settings.halt_folder
    outcomes = tuple(
        _status_of(seat, changes, halt_seen(folder, seat), _note(context, seat)) for seat in seats
    )
    labels = facts.classrooms[classroom].record
    going = sum(one.extra["next_version"] is not None for one in outcomes)
    return Report(
        classroom=classroom,
        verb="status",
        mode=None,
        elapsed_s=time.perf_counter() - began,
        seats=outcomes,
        extra={
            "template": labels.template,
            "version": labels.version,
            "at_next_reset": going,
        },
    )


def _note(context: Context, seat: Seat) -> str | None:
    """What of a seat is not looked at, and what to do about it."""
    if not is_known_by_disks_only(context.host, seat):
        return None
    return Sentence("only its disks are known, not its machine: pizarra recover keeps that too")


def _status_of(
    seat: Seat, changes: Mapping[str, Change | PizarraError], halt: Halt | None, note: str | None
) -> SeatOutcome:
    answers = [changes.get(volume.uuid) for volume in seat.volumes]
    labels = seat.labels
    errors = [
        join([answer])
        for answer in answers
        if isinstance(answer, PizarraError)
        and not (labels.content_version and isinstance(answer, OtherOriginal))
    ]
    absent = seat.power is Power.ABSENT
    gone = Sentence("its machine is gone: run pizarra recover") if absent else None
    fault = seat.fault or gone or (errors[0] if errors else None)
    known = [answer for answer in answers if isinstance(answer, Change)]
    changed_bytes = sum(change.changed_bytes for change in known)
    differs = next((change.state for change in known if change.state), "")
    beside = Sentence("its {state} is not the original", state=differs) if differs else None
    is_known = len(known) == len(seat.volumes)
    original = all(one.original for one in known) if is_known else None
    if any_fault(seat):
        original = False  # whatever its disks are
    following = labels.version if labels.content_version and not original else None
    going = Sentence("v{version} at its next reset", version=following) if following else None
    return SeatOutcome(
        seat=seat.name,
        outcome=Outcome.UNKNOWN if fault else Outcome.DONE,
        reason=fault
        or (sentence(halt) if halt else None)
        or going
        or beside
        or words(to_keep(seat))
        or note,
        verified=False if following and not fault else original,
        extra={
            "number": seat.number,
            "version": labels.content_version if following else labels.version,
            "next_version": following,
            "power": str(seat.power),
            "halt": halt and str(halt),
            "changed_bytes": changed_bytes if is_known else None,
            "size_bytes": sum(volume.size_bytes for volume in seat.volumes),
        },
    )
