"""The guard beside people's commands: no command is refused because the guard looks after seats."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pizarra.engine.events import Noted
from pizarra.engine.memory_host import memory_host
from pizarra.errors import Busy
from pizarra.model.outcome import Outcome
from pizarra.service import guard as guarding
from pizarra.service import verbs
from pizarra.service.context import Context
from pizarra.service.guard import guard
from pizarra.service.undo import undo
from pizarra.settings import Settings
from pizarra.system import flight
from tests.unit.test_reset import SEATS, School

RESETS = 100
GUARD = "a guard in a loop"
TINY_HOURS = 1e-9  # every undo is too old when the guard looks


@contextmanager
def in_a_loop(act: Callable[[], object]) -> Iterator[list[BaseException]]:
    """``act`` again and again beside the block, without a pause; what it raised."""
    stopping, faults = threading.Event(), list[BaseException]()

    def loop() -> None:
        while not stopping.is_set():
            try:
                act()
            except BaseException as error:  # noqa: BLE001 - told by the test
                faults.append(error)
                return

    thread = threading.Thread(target=loop, name=GUARD)
    thread.start()
    try:
        yield faults
    finally:
        stopping.set()
        thread.join()


@pytest.fixture
def slow_guards() -> Iterator[None]:
    """Each step of a guard takes a while, as on disks; a step of a command takes none."""

    def slow(_what: str) -> None:
        if threading.current_thread().name == GUARD:
            time.sleep(0.02)

    flight.set_witness(slow)
    yield
    flight.set_witness(None)


def host_with(school: School, settings: Settings) -> Context:
    return Context(memory_host(school.storage, school.compute, settings))


@pytest.mark.usefixtures("slow_guards")
def test_reset_when_guards_run_without_a_pause_then_none_of_a_hundred_is_busy() -> None:
    school = School()
    guards = host_with(school, Settings(undo_hours=TINY_HOURS))
    with in_a_loop(lambda: guard(guards)) as first, in_a_loop(lambda: guard(guards)) as second:
        for turn in range(RESETS):
            seat = turn % SEATS + 1
            school.dirty(seat)
            seats = [seat] if turn % 4 else None  # one seat, or the classroom as a whole
            report = verbs.reset(school.context, "net", seats)
            assert {one.outcome for one in report.seats} <= {Outcome.DONE, Outcome.UNCHANGED}
    assert (first, second) == ([], [])


def test_guard_when_no_undo_is_old_then_it_claims_no_seat() -> None:
    """The age of an undo is read; a seat is claimed by nobody for that."""
    school = School()
    school.dirty(*range(1, SEATS + 1))
    school.reset()
    guard(school.context)
    folder = school.context.host.settings.lock_folder
    claimed = {one.name for one in folder.iterdir() if '"guard"' in one.read_text()}
    assert guarding.ONE_GUARD in claimed
    assert not [name for name in claimed if name.partition(":")[0] in ("seat", "classroom")]
    assert undo(school.context, "net", [1]).exit_status == 0, "what is not old stays"


def test_guard_when_another_runs_then_it_leaves_the_work_to_that_one() -> None:
    school = School()
    guards = host_with(school, Settings(undo_hours=TINY_HOURS))
    school.dirty(1)
    school.reset([1])
    notes = list[str]()
    second = Context(guards.host, lambda one: notes.append(str(one)))
    with guards.claim([guarding.ONE_GUARD], "guard"):
        assert guard(second)["pools"], "the document is there all the same"
    assert notes == []
    guard(second)
    assert ["net-01 can be undone no more" in note for note in notes] == [True]


def test_command_when_another_command_is_at_it_then_busy_at_once_beside_a_guard() -> None:
    """Only housekeeping is waited for: who works there is told, as ever."""
    school = School()
    with (
        in_a_loop(lambda: guard(school.context)) as faults,
        school.context.claim(["classroom:net"], "classroom warm"),
        pytest.raises(Busy, match="net is busy: classroom warm"),
    ):
        verbs.start(school.context, "net")
    assert faults == []


def test_guard_when_somebody_works_on_a_seat_then_it_drops_nothing_of_it() -> None:
    school = School()
    guards = host_with(school, Settings(undo_hours=TINY_HOURS))
    school.dirty(1, 2)
    school.reset([1, 2])
    notes = list[str]()
    told = Context(
        guards.host, lambda one: notes.append(str(one)) if isinstance(one, Noted) else None
    )
    with school.context.claim(["seat:net-01"], "reset", shared=["classroom:net"]):
        guard(told)
    assert [note for note in notes if "net-01" in note] == []
    assert len([note for note in notes if "net-02" in note]) == 1
