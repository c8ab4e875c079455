"""The pool guard over the memory drivers: told, refused, and room made from undos."""

from __future__ import annotations

import pytest

from pizarra.engine.events import Event, Noted
from pizarra.errors import NoSpace
from pizarra.model.facts import Power
from pizarra.model.sizes import MIB
from pizarra.planner.reset import pairs_of
from pizarra.service import verbs
from pizarra.service.context import Context
from pizarra.service.undo import undo
from tests.unit.test_reset import School


@pytest.fixture
def school() -> School:
    return School()


def noting(school: School) -> tuple[Context, list[str]]:
    notes: list[str] = []

    def heard(event: Event) -> None:
        if isinstance(event, Noted):
            notes.append(str(event))

    return Context(school.context.host, heard), notes


def test_start_when_the_pool_could_fill_then_the_numbers_are_said(school: School) -> None:
    school.storage.disks.size_bytes = 20 * MIB
    context, notes = noting(school)
    assert verbs.start(context, "net").exit_status == 0
    assert any("5 seats need up to 40 MiB" in note for note in notes), notes


def test_start_when_the_pool_is_nearly_full_then_refused_and_none_runs(school: School) -> None:
    school.dirty(1, 2, 3)
    school.storage.disks.size_bytes = school.storage.disks.used_bytes()
    with pytest.raises(NoSpace, match="0 B are free"):
        verbs.start(school.context, "net")
    assert {school.power(number) for number in range(1, 6)} == {Power.OFF}


def test_start_when_undos_fill_the_pool_then_the_oldest_go_and_it_is_said(school: School) -> None:
    school.dirty(1, 2)
    school.reset([1])
    school.reset([2])
    disks = school.storage.disks
    disks.size_bytes = 2 * 4096
    context, notes = noting(school)
    assert verbs.start(context, "net", [3]).exit_status == 0
    assert [note for note in notes if "net-01 can be undone no more" in note]
    assert not [note for note in notes if "net-02 can be undone no more" in note]
    assert undo(school.context, "net", [2]).exit_status == 0


def test_start_when_a_crash_left_space_to_give_back_then_that_comes_before_any_undo(
    school: School,
) -> None:
    """What a reset without an undo took away; that of the reset before stays."""
    school.dirty(1)
    school.reset([1])
    school.dirty(1)
    (seat,) = [one for one in school.context.host.observe().classroom("net").seats
               if one.number == 1]  # fmt: skip
    assert not any(school.context.host.rewind(list(pairs_of(seat))).values())
    school.storage.disks.size_bytes = 2 * 4096
    context, notes = noting(school)
    assert verbs.start(context, "net", [3]).exit_status == 0
    assert not [note for note in notes if "no more" in note]
    assert undo(school.context, "net", [1]).exit_status == 0
