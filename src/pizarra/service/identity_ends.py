"""End an identity run whose command died: the machine goes back to its original. Its content is
half of something, and nobody's work."""

from __future__ import annotations

from collections.abc import Sequence

from pizarra.engine import recovery
from pizarra.engine.events import Noted
from pizarra.engine.journal import Action, PowerAfter, Record
from pizarra.errors import PizarraError
from pizarra.model.facts import Power, Seat
from pizarra.model.sentence import N_
from pizarra.planner import provision
from pizarra.service.context import Context
from pizarra.storage.interface import raise_first
from pizarra.system import seed

_WAIT_S = 30.0


def take_back_cut_off(context: Context, seats: Sequence[Seat]) -> dict[str, PizarraError | None]:
    """Put those of these claimed seats back that a dead command was giving an identity. Returns by
    name of each such seat the error that stopped it, or None. Raises Busy, StorageFault."""
    journal, found = context.host.journal, dict[str, PizarraError | None]()
    for record in journal.records()[0]:
        names = {one.seat for one in record.open}
        its = [seat for seat in seats if seat.name in names]
        if record.action is not Action.IDENTIFY or not its:
            continue
        with journal.take_over(record, wait_s=_WAIT_S) as opened:
            for seat in its:
                found[seat.name] = fault = _end(context, record, seat)
                if fault is None:
                    opened.close_seats([seat.name])
    return found


def _end(context: Context, record: Record, seat: Seat) -> PizarraError | None:
    identity = seat.identity
    if identity is not None and identity.saved_at >= int(record.when):
        return None  # it has one, which is its original by now
    if seat.fault or seat.power is Power.ABSENT:
        return None if seat.power is Power.ABSENT else PizarraError("{why}", why=seat.fault)
    try:
        take_back(context, seat)
    except PizarraError as error:
        return error
    return None


def take_back(context: Context, seat: Seat) -> None:
    """Switch a machine off, remove its seed, and put its disks back to the original. Raises
    ComputeFault, StorageFault."""
    host = context.host
    host.compute.kill(seat.domain_uuid)
    host.compute.define(provision.domain_spec(seat))
    raise_first(recovery.rewind_again(host, "classroom identify", [seat], PowerAfter.OFF))
    seed.seed_path(context.host.settings.seed_folder, seat.domain_uuid).unlink(missing_ok=True)
    text = N_("{name}: giving it an identity was cut off, and is taken back.")
    context.emit(Noted(text=text, facts={"name": seat.name}))
