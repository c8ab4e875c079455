"""The process dies before any step of a reset and of an undo, on real LVM.

A step is a call to LVM or device-mapper, or a line of the journal. The seat has an undo of an
earlier reset. `recover` completes each reset and undo, nothing is lost, and two disks of a seat
never go back to two different weeks. The test takes minutes: PIZARRA_EVERY=5 tries every fifth
step.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from lab.powercut.pool_ids import unknown_ids
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.policy import After
from pizarra.model.sizes import MIB
from pizarra.service import classrooms, verbs
from pizarra.service.context import Context
from pizarra.service.recover import recover
from pizarra.service.undo import undo
from pizarra.storage.dm_thin.pool import ThinPool
from pizarra.storage.dm_thin.store import DmThinStore
from pizarra.storage.kinds import Kind
from pizarra.storage.memory.store import Crash
from tests.contract.storage_lvm import POOL, VG
from tests.fixtures.any_order import ORIGINAL, MortalCompute
from tests.lab.test_any_order import OnLvm

BEFORE, NOW, MIXED = b"week one", b"week two", b"a mixture"
CALLS = range(1, 300, int(os.environ.get("PIZARRA_EVERY") or 1))


class OneSeat(OnLvm):
    """A class of one, on real LVM; the machine is one in memory."""

    def create(self) -> None:
        self.compute = MortalCompute()
        self.make_disks()
        spec = ClassroomSpec(
            name="net", template="t", seats=1, memory_bytes=64 * MIB, storage=Kind.LVM_THIN
        )
        classrooms.create(self.context, spec)

    def work_then_reset_then_work(self) -> None:
        self.write_all(BEFORE)
        self.reset_it()
        self.write_all(NOW)

    def write_all(self, data: bytes) -> None:
        (seat,) = self.seats()
        for volume in seat.volumes:
            self.write(volume, data)

    def reset_it(self) -> None:
        assert verbs.reset(self.context, "net", after=After.OFF).exit_status == 0

    def undo_it(self) -> None:
        assert undo(self.context, "net").exit_status == 0

    def has(self) -> bytes | None:
        (seat,) = self.seats()
        contents = {self.content(volume) for volume in seat.volumes}
        return contents.pop() if len(contents) == 1 else MIXED

    def dies_before(self, call: int, act: Callable[[], None]) -> bool:
        """Whether it got so far."""
        self.mortal.to_death = call
        try:
            act()
        except Crash:
            return True
        finally:
            self.boot()
        return False

    def put_right(self) -> None:
        """By recover, once: a second one finds nothing to do."""
        recover(self.context)
        (report,) = recover(self.context)
        assert [str(one.outcome) for one in report.seats] == ["unchanged"]
        assert not list(self.context.host.journal.folder.iterdir())
        assert not unknown_ids(ThinPool(VG, POOL), DmThinStore(VG).observe().volumes)


@pytest.fixture(params=[("vda",), ("vda", "vdb")], ids=["one disk", "two disks"])
def seat(lab: Context, request: pytest.FixtureRequest) -> Iterator[OneSeat]:
    assert lab.host.observe().classrooms == {}
    one = OneSeat()
    one.disks = request.param
    one.create()
    yield one
    one.teardown()


def test_reset_when_it_dies_before_any_step_then_recover_completes_it_and_it_can_be_undone(
    seat: OneSeat,
) -> None:
    seen = set()
    for call in CALLS:
        seat.work_then_reset_then_work()
        if not seat.dies_before(call, seat.reset_it):
            break
        seat.put_right()
        seen.add(content := seat.has())
        seat.undo_it()
        assert (content, seat.has()) in {(NOW, BEFORE), (ORIGINAL, NOW)}, f"before step {call}"
    else:
        raise AssertionError("it never ended")
    assert NOW in seen, "no cut came before the record"
    assert ORIGINAL in seen


def test_reset_when_it_died_before_any_step_then_a_second_one_keeps_the_work(
    seat: OneSeat,
) -> None:
    for call in CALLS:
        seat.work_then_reset_then_work()
        if not seat.dies_before(call, seat.reset_it):
            assert call > 10, "it did not die where it was told to"
            return
        seat.reset_it()
        seat.undo_it()
        assert seat.has() == NOW, f"before step {call}"
    raise AssertionError("it never ended")


def test_undo_when_it_dies_before_any_step_then_both_contents_are_there(seat: OneSeat) -> None:
    seen = set()
    for call in CALLS:
        seat.work_then_reset_then_work()
        if not seat.dies_before(call, seat.undo_it):
            break
        seat.put_right()
        seen.add(content := seat.has())
        assert content in {NOW, BEFORE}, f"before step {call}"
        seat.undo_it()  # again: what was done is not taken back
        assert seat.has() == BEFORE, f"before step {call}"
        seat.undo_it()
        assert seat.has() == NOW, f"before step {call}"
    else:
        raise AssertionError("it never ended")
    assert NOW in seen
    assert BEFORE in seen or CALLS.step > 1, "no cut came after the exchange"
