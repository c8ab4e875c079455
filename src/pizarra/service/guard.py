"""Before machines run: is there room for what they write? Undos go first, and that is said."""

from __future__ import annotations

from collections.abc import Sequence

from pizarra.engine import undo
from pizarra.engine.events import Noted
from pizarra.errors import NoSpace
from pizarra.model.facts import Seat
from pizarra.model.sizes import size_text
from pizarra.planner.guard import PoolNeed, needs
from pizarra.service.context import Context


def room_checked(context: Context, seats: Sequence[Seat]) -> None:
    """Says what they may need; makes room if a pool is nearly full. Raises NoSpace."""
    if not seats:
        return
    for seen in needs(context.host.observe().pools, seats):
        need = _undos_dropped(context, seen, seats) if seen.is_full else seen
        if need.is_full:
            raise NoSpace(
                "{n} seats need up to {needs}, {free} are free in {place}/{pool}: not started.",
                "Make it larger: pizarra host check --fix; or delete checkpoints, old versions.",
                **_numbers(need),
            )
        if need.may_fill:
            text = "{n} seats need up to {needs}, {free} are free in {place}/{pool}."
            context.emit(Noted(text=text, facts=_numbers(need)))


def _numbers(need: PoolNeed) -> dict[str, object]:
    return {
        "n": need.seats,
        "needs": size_text(need.may_need_bytes),
        "free": size_text(need.pool.free_bytes),
        "place": need.pool.place,
        "pool": need.pool.name,
    }


def _undos_dropped(context: Context, need: PoolNeed, seats: Sequence[Seat]) -> PoolNeed:
    """The oldest first, one by one, until it is not full any more."""
    host, facts = context.host, context.host.observe()
    everybody = [
        seat
        for room in facts.classrooms.values()
        for seat in room.seats
        if seat.volumes[0].place == need.pool.place
    ]
    known = {seat.name: seat for seat in everybody}
    for name in undo.kept(host, everybody):
        undo.dropped(host, [known[name]])
        text = "{pool} is nearly full: the last reset of {name} can be undone no more."
        context.emit(Noted(text=text, facts={"pool": need.pool.name, "name": name}))
        now = {(one.pool.place, one.pool.name): one for one in needs(host.observe().pools, seats)}
        need = now[need.pool.place, need.pool.name]
        if not need.is_full:
            break
    return need
