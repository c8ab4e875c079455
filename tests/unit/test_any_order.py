"""Any verbs in any order, failures and crashes in the middle of them: what holds all the time.

A seat that is said to be original is; nothing of somebody else's is touched; nobody's work goes
but by a verb that takes it; `recover` brings all back to order, and a second one changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pizarra.compute.memory import MemoryCompute
from pizarra.engine.memory_host import memory_host
from pizarra.errors import ComputeFault, PizarraError, StorageFault
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.facts import Power, Seat, StorageKind
from pizarra.model.labels import Labels, Role
from pizarra.model.outcome import Mode, Outcome, Report
from pizarra.model.policy import After
from pizarra.model.sizes import MIB
from pizarra.service import checkpoints, classrooms, verbs
from pizarra.service.context import Context
from pizarra.service.recover import recovered
from pizarra.service.undo import undone
from pizarra.settings import Settings
from pizarra.storage.interface import NewVolume
from pizarra.storage.memory import Crash, MemoryDisks, MemoryStorage

ORIGINAL = b"original"
FOREIGN_VOLUME, FOREIGN_MACHINE = "net-04.vda", "lab-03"
ROOMS = st.sampled_from(["net", "lab"])
NUMBERS = st.one_of(st.none(), st.lists(st.integers(1, 4), min_size=1, max_size=2, unique=True))
CALLS = ("rewound", "put_back", "removed", "seats_created", "proven", "kept_dropped",
         "checkpoints_created")  # fmt: skip
MACHINE_CALLS = ("define", "undefine", "start", "kill", "pause", "reset_button", "resume")
Contents = dict[str, bytes | None]


class Plug:
    """Once it is pulled nothing happens any more."""

    pulled = False


class MortalStorage(MemoryStorage):
    """A crash is the end of its process: whoever would tidy up comes too late."""

    def __init__(self, disks: MemoryDisks, plug: Plug) -> None:
        super().__init__(disks)
        self.plug = plug

    def _change(self) -> None:
        try:
            super()._change()
        except Crash:
            self.plug.pulled = True
        if self.plug.pulled:
            raise Crash


class MortalCompute(MemoryCompute):
    """libvirt outlives our process, but is asked nothing by a dead one."""

    plug = Plug()

    @contextmanager
    def _called(self, call: str, which: str) -> Iterator[None]:
        if self.plug.pulled:
            raise Crash
        with super()._called(call, which):
            yield


class AnyOrder(RuleBasedStateMachine):
    """Two classrooms of one template, and somebody else's volume and machine beside them."""

    @initialize()
    def host(self) -> None:
        self.disks, self.compute = MemoryDisks(), MortalCompute()
        self.booted()
        self.works = 0
        labels = Labels(role=Role.FILLING, template="t", version=1)
        golden = self.storage.golden_created(
            NewVolume(labels=labels, size_bytes=MIB, name="t.v1.vda")
        )
        self.storage.write(golden.name, 0, ORIGINAL)
        self.storage.golden_sealed(golden, labels.but(role=Role.TEMPLATE))
        foreign = self.storage.golden_created(
            NewVolume(labels=labels, size_bytes=MIB, name=FOREIGN_VOLUME)
        )
        self.storage.write(foreign.name, 0, b"not ours")
        disk = self.disks.named(foreign.name)
        disk.volume = replace(disk.volume, labels=None)
        self.compute.put(
            f"<domain><name>{FOREIGN_MACHINE}</name><uuid>c0ffee00-0000-4000-8000-0000000000aa"
            "</uuid></domain>",
            Power.RUNNING,
        )
        self.create("net", 3)
        self.create("lab", 2)
        self.work("net", None)

    def booted(self) -> None:
        """A new process: what it had in memory is gone, and nothing is told to fail."""
        self.compute.plug = Plug()
        self.compute._faults.clear()
        self.storage = MortalStorage(self.disks, self.compute.plug)
        settings = Settings(at_once=1, grace_s=0)
        self.context = Context(memory_host(self.storage, self.compute, settings))

    # ---- what is there

    def seats(self) -> list[Seat]:
        rooms = self.context.host.observe().classrooms.values()
        return [seat for room in rooms for seat in room.seats]

    def contents(self) -> Contents:
        """By volume UUID; None in the middle of a rewind."""
        found: Contents = {}
        for uuid, disk in self.disks.by_uuid.items():
            labels = disk.volume.labels
            if labels and labels.role is Role.SEAT:
                there = disk.blocks is not None
                found[uuid] = self.storage.read(disk.volume.name, 0, 8) if there else None
        return found

    def tried(self, act: Callable[[], Report], *, takes: str = "") -> Report | None:
        """Do it; it may fail, or the process may die. Only seats of ``takes`` may lose content."""
        before = self.contents()
        report = None
        try:
            report = act()
        except PizarraError as error:
            assert str(error)
        except Crash:
            self.booted()
        after = self.contents()
        for uuid in before.keys() & after.keys():
            labels = self.disks.by_uuid[uuid].volume.labels
            of = labels.classroom if labels else ""
            assert of == takes or before[uuid] == after[uuid], f"{of} lost work"
        if report is not None:
            self.true(report)
        return report

    def true(self, report: Report) -> None:
        """What is said to be original is. A restored seat is proven against its checkpoint."""
        if report.verb == "checkpoint restore":
            return
        seats, contents = {seat.name: seat for seat in self.seats()}, self.contents()
        for one in report.seats:
            if one.verified:
                content = contents[seats[one.seat].volumes[0].uuid]
                assert content == ORIGINAL, f"{one.seat} is said to be original"

    # ---- what people do

    @rule(room=ROOMS, seats=st.integers(1, 4))
    def create(self, room: str, seats: int) -> None:
        spec = ClassroomSpec(name=room, template="t", seats=seats, memory_bytes=64 * MIB,
                             storage=StorageKind.MEMORY)  # fmt: skip
        self.tried(lambda: classrooms.created(self.context, spec))

    @rule(room=ROOMS, numbers=NUMBERS)
    def start(self, room: str, numbers: list[int] | None) -> None:
        self.tried(lambda: verbs.start(self.context, room, numbers))

    @rule(room=ROOMS, numbers=NUMBERS)
    def stop(self, room: str, numbers: list[int] | None) -> None:
        self.tried(lambda: verbs.stop(self.context, room, numbers))

    @rule(room=ROOMS, numbers=NUMBERS)
    def work(self, room: str, numbers: list[int] | None) -> None:
        """Students write to their disks, each something of its own."""
        for seat in self.seats():
            is_meant = seat.classroom == room and seat.number in (numbers or [seat.number])
            if is_meant and seat.volumes[0].active:
                self.works += 1
                self.storage.write(seat.volumes[0].name, 0, b"work%04d" % self.works)

    @rule(room=ROOMS, numbers=NUMBERS, mode=st.sampled_from([Mode.COLD, Mode.HOT]),
          after=st.sampled_from(After))  # fmt: skip
    def reset(self, room: str, numbers: list[int] | None, mode: Mode, after: After) -> None:
        act = lambda: verbs.reset(self.context, room, numbers, mode=mode, after=after)  # noqa: E731
        report = self.tried(act, takes=room)
        done = [one for one in report.seats if one.outcome is Outcome.DONE] if report else []
        assert all(one.verified for one in done)

    @rule(room=ROOMS, numbers=NUMBERS)
    def reset_and_undo(self, room: str, numbers: list[int] | None) -> None:
        """Whoever was reset and has it taken back has what there was."""
        before = self.contents()
        reset = self.tried(lambda: verbs.reset(self.context, room, numbers), takes=room)
        undo = self.tried(lambda: undone(self.context, room, numbers), takes=room)
        if reset is None or undo is None:
            return
        both = {one.seat for one in reset.seats if one.outcome is Outcome.DONE}
        both &= {one.seat for one in undo.seats if one.outcome is Outcome.DONE}
        for seat in self.seats():
            if seat.name in both:
                uuid = seat.volumes[0].uuid
                assert before[uuid] is None or self.contents()[uuid] == before[uuid]

    @rule(room=ROOMS, numbers=NUMBERS)
    def undo(self, room: str, numbers: list[int] | None) -> None:
        self.tried(lambda: undone(self.context, room, numbers), takes=room)

    @rule(room=ROOMS, numbers=NUMBERS)
    def save(self, room: str, numbers: list[int] | None) -> None:
        self.tried(lambda: checkpoints.saved(self.context, room, "half", numbers))

    @rule(room=ROOMS, numbers=NUMBERS)
    def restore(self, room: str, numbers: list[int] | None) -> None:
        self.tried(lambda: checkpoints.restored(self.context, room, "half", numbers), takes=room)

    @rule(room=ROOMS, seats=st.integers(1, 4))
    def resize(self, room: str, seats: int) -> None:
        self.tried(lambda: classrooms.resized(self.context, room, seats=seats))

    @rule(room=ROOMS)
    def delete(self, room: str) -> None:
        self.tried(lambda: classrooms.deleted(self.context, room))

    # ---- what befalls them

    @rule(call=st.sampled_from(CALLS), step=st.integers(1, 3))
    def storage_will_fail(self, call: str, step: int) -> None:
        self.storage.fail_at(call, step, StorageFault("the disk is gone"))

    @rule(call=st.sampled_from(MACHINE_CALLS))
    def machine_will_fail(self, call: str) -> None:
        self.compute.fail_at(call, None, ComputeFault("libvirt does not want to"))

    @rule(step=st.integers(1, 8))
    def process_will_die(self, step: int) -> None:
        self.storage.crash_at(step)

    @rule()
    def power_goes(self) -> None:
        """Every machine is off, ours and not."""
        self.booted()
        for machine in self.compute.observe():
            if machine.name != FOREIGN_MACHINE:
                self.compute.happen(machine.uuid, Power.OFF)

    # ---- and then

    @rule()
    def recover(self) -> None:
        """Once may fail; where nothing fails all is in order, and a second changes nothing."""
        self.booted()
        before = self.contents()
        recovered(self.context)
        after = self.contents()
        assert after.keys() == before.keys()
        for uuid, content in after.items():
            assert content == (before[uuid] or ORIGINAL)
        for seat in self.seats():
            assert seat.power is not Power.ABSENT, f"{seat.name} has no machine"
            assert seat.fault is None
        roles = {one.volume.labels.role for one in self.disks.by_uuid.values() if one.volume.labels}
        assert Role.FILLING not in roles
        known = {seat.domain_uuid for seat in self.seats()}
        ours = {one.uuid for one in self.compute.observe() if one.name != FOREIGN_MACHINE}
        assert ours == known, "a machine without a disk, or the reverse"
        for report in recovered(self.context):
            assert {one.outcome for one in report.seats} <= {Outcome.UNCHANGED}

    @invariant()
    def nothing_of_anybody_else_is_touched(self) -> None:
        if not hasattr(self, "disks"):
            return
        assert self.storage.read(FOREIGN_VOLUME, 0, 8) == b"not ours"
        (machine,) = [one for one in self.compute.observe() if one.name == FOREIGN_MACHINE]
        assert machine.power is Power.RUNNING
        assert self.storage.read("t.v1.vda", 0, 8) == ORIGINAL


AnyOrder.TestCase.settings = hypothesis(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyOrder = AnyOrder.TestCase
