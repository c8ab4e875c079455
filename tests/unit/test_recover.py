"""recover over the memory drivers: what is wrong with one thing stops nothing else."""

from __future__ import annotations

import pytest

from pizarra.engine.events import Event, Noted, Settled
from pizarra.errors import Busy, ComputeFault, StorageFault
from pizarra.model.facts import Power
from pizarra.model.names import seat_uuid
from pizarra.service import recover
from pizarra.service.context import Context
from tests.unit.test_reset import SEATS, School


@pytest.fixture
def school() -> School:
    return School()


def hearing(school: School) -> tuple[Context, list[Event]]:
    events: list[Event] = []
    return Context(school.context.host, events.append), events


def notes(events: list[Event]) -> list[str]:
    return [str(event) for event in events if isinstance(event, Noted)]


def test_recover_when_a_pool_is_not_well_then_seats_are_mended_and_the_error_ends_it(
    school: School,
) -> None:
    school.compute.undefine(seat_uuid("net", 2))
    school.storage.fail_at("repair_after_crash", 1, StorageFault("the pool is not well"))
    context, events = hearing(school)
    with pytest.raises(StorageFault, match="the pool is not well"):
        recover.recover(context)
    assert sum(isinstance(event, Settled) for event in events) == SEATS
    assert school.power(2) is Power.OFF
    assert notes(events) == ["Not recovered: the pool is not well"]


def test_recover_when_somebody_is_at_a_classroom_then_is_busy_after_all_else(
    school: School,
) -> None:
    context, events = hearing(school)
    with context.claim(["classroom:net"], "reset"), pytest.raises(Busy, match="net is busy: reset"):
        recover.recover(context)
    assert len(notes(events)) == 1
    (report,) = recover.recover(context)
    assert report.exit_status == 0


def test_recover_when_the_network_cannot_be_there_then_seats_are_mended_and_the_error_ends_it(
    school: School,
) -> None:
    school.compute.undefine(seat_uuid("net", 2))
    school.compute.fail_at("define_network", None, ComputeFault("no such bridge"), times=100)
    context, events = hearing(school)
    with pytest.raises(ComputeFault, match="no such bridge"):
        recover.recover(context)
    assert sum(isinstance(event, Settled) for event in events) == SEATS
    assert school.power(2) is Power.OFF
