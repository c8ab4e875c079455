"""The reset pipeline over the memory drivers: outcomes, order, and what fails alone."""

from __future__ import annotations

import pytest

from pizarra.compute.memory import MemoryCompute
from pizarra.engine.memory_host import memory_host
from pizarra.errors import Busy, ComputeFault, NotFound, StorageFault
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.facts import Power, Volume
from pizarra.model.labels import FillingLabels, TemplateLabels
from pizarra.model.names import seat_uuid
from pizarra.model.outcome import Mode, Outcome, Report
from pizarra.model.policy import After
from pizarra.model.sizes import MIB
from pizarra.service import classrooms, verbs
from pizarra.service.context import Context
from pizarra.settings import Settings
from pizarra.storage.interface import NewVolume
from pizarra.storage.kinds import Kind
from pizarra.storage.memory.store import MemoryStore

SEATS = 5


class School:
    """A classroom of five in memory."""

    def __init__(self) -> None:
        self.storage = MemoryStore()
        self.compute = MemoryCompute()
        self.context = Context(memory_host(self.storage, self.compute, Settings(at_once=3)))
        self._golden()
        spec = ClassroomSpec(
            name="net", template="t", seats=SEATS, memory_bytes=64 * MIB, storage=Kind.MEMORY
        )
        classrooms.create(self.context, spec)

    def _golden(self) -> Volume:
        labels = TemplateLabels(template="t", version=1)
        new = NewVolume(labels=FillingLabels(becoming=labels), size_bytes=8 * MIB, name="t.v1.vda")
        golden = self.storage.create_golden(new)
        self.storage.write(golden.name, 0, b"original")
        return self.storage.seal_golden(golden, labels)

    def dirty(self, *numbers: int) -> None:
        for number in numbers:
            self.storage.write(f"net-{number:02d}.vda", 0, b"a student was here")

    def content(self, number: int) -> bytes:
        return self.storage.read(f"net-{number:02d}.vda", 0, 8)

    def power(self, number: int) -> Power:
        uuid = seat_uuid("net", number)
        return next(one.power for one in self.compute.observe() if one.uuid == uuid)

    def reset(self, numbers: list[int] | None = None, mode: Mode = Mode.COLD,
              after: After = After.AS_FOUND) -> Report:  # fmt: skip
        return verbs.reset(self.context, "net", numbers, mode=mode, after=after)


@pytest.fixture
def school() -> School:
    return School()


def outcomes(report: Report) -> list[Outcome]:
    return [one.outcome for one in report.seats]


def test_reset_when_never_started_then_unchanged_and_nothing_is_touched(school: School) -> None:
    school.compute.calls.clear()
    report = school.reset()
    assert outcomes(report) == [Outcome.UNCHANGED] * SEATS
    assert all(one.verified for one in report.seats)
    assert report.exit_status == 0
    assert {call for call, _ in school.compute.calls} <= {"observe", "xml"}


def test_reset_when_dirty_then_original_and_the_power_as_found(school: School) -> None:
    verbs.start(school.context, "net", [1, 2])
    school.dirty(1, 2, 3)
    report = school.reset()
    assert outcomes(report) == [Outcome.DONE] * 3 + [Outcome.UNCHANGED] * 2
    assert [school.content(number) for number in range(1, SEATS + 1)] == [b"original"] * SEATS
    powers = [school.power(number) for number in range(1, SEATS + 1)]
    assert powers == [Power.RUNNING] * 2 + [Power.OFF] * 3


@pytest.mark.parametrize(
    ("after", "power"), [(After.RUNNING, Power.RUNNING), (After.OFF, Power.OFF)]
)
def test_reset_when_told_what_follows_then_all_are_so(
    school: School, after: After, power: Power
) -> None:
    verbs.start(school.context, "net", [1])
    school.dirty(1, 2)
    assert school.reset(after=after).exit_status == 0
    assert {school.power(number) for number in range(1, SEATS + 1)} == {power}


def test_reset_when_hot_then_the_machine_is_paused_and_never_killed(school: School) -> None:
    verbs.start(school.context, "net")
    school.dirty(1)
    school.compute.calls.clear()
    report = school.reset([1], Mode.HOT)
    assert outcomes(report) == [Outcome.DONE]
    called = [call for call, uuid in school.compute.calls if uuid == seat_uuid("net", 1)]
    assert called == ["xml", "live_xml", "pause", "reset_button", "resume"]
    assert school.power(1) is Power.RUNNING
    assert school.content(1) == b"original"


def test_reset_when_one_machine_will_not_die_then_the_others_are_done(school: School) -> None:
    verbs.start(school.context, "net")
    school.dirty(*range(1, SEATS + 1))
    school.compute.fail_at("kill", seat_uuid("net", 3), ComputeFault("it does not want to"))
    report = school.reset()
    assert [one.outcome for one in report.seats].count(Outcome.DONE) == SEATS - 1
    third = report.seats[2]
    assert third.outcome is Outcome.FAILED
    assert "does not want to" in str(third.reason)
    assert school.content(3) == b"a studen", "a disk in use is never rewound"
    assert report.exit_status == 1


def test_reset_when_one_disk_fails_then_it_is_not_started_nor_verified(school: School) -> None:
    verbs.start(school.context, "net")
    school.dirty(*range(1, SEATS + 1))
    school.storage.fail_at("rewind", 1, StorageFault("the disk is gone"))
    report = school.reset()
    failed = [one for one in report.seats if one.outcome is Outcome.FAILED]
    assert len(failed) == 1
    assert failed[0].verified is False
    assert school.power(int(failed[0].seat[-2:])) is Power.OFF
    assert report.count(Outcome.DONE) == SEATS - 1


def test_reset_when_the_baseline_is_gone_then_unknown_with_a_reason(school: School) -> None:
    golden = next(
        disk
        for disk in school.storage.disks.by_uuid.values()
        if isinstance(disk.volume.labels, TemplateLabels)
    )
    del school.storage.disks.by_uuid[golden.volume.uuid]
    school.dirty(1)
    report = school.reset([1])
    assert outcomes(report) == [Outcome.UNKNOWN]
    assert "original state" in str(report.seats[0].reason)
    assert school.content(1) == b"a studen"


def test_reset_when_a_machine_of_another_has_the_name_then_unknown(school: School) -> None:
    school.compute.undefine(seat_uuid("net", 2))
    school.compute.put("<domain><name>net-02</name><uuid>c0ffee00-0000-4000-8000-0000000000aa"
                       "</uuid></domain>", Power.RUNNING)  # fmt: skip
    school.dirty(2)
    report = school.reset([2])
    assert outcomes(report) == [Outcome.UNKNOWN]
    assert school.content(2) == b"a studen"


def test_reset_when_somebody_else_is_at_it_then_busy_and_nothing_changes(school: School) -> None:
    school.dirty(1, 2)
    with school.context.claim(["seat:net-01"], "reset", shared=["classroom:net"]):
        with pytest.raises(Busy) as busy:
            school.reset()
        assert outcomes(school.reset([2])) == [Outcome.DONE]
    assert busy.value.exit_status == 4
    assert school.content(1) == b"a studen"


def test_reset_when_a_seat_is_not_there_then_none_is_touched(school: School) -> None:
    school.dirty(1)
    with pytest.raises(NotFound):
        school.reset([1, 9])
    assert school.content(1) == b"a studen"


def test_plan_when_shown_then_it_says_what_would_happen_and_does_nothing(school: School) -> None:
    verbs.start(school.context, "net", [1])
    school.dirty(1, 2)
    plan = verbs.reset_plan(school.context, "net").to_json()
    steps = {one["seat"]: one["steps"] for one in plan["seats"]}
    assert steps["net-01"] == ["stop", "rewind", "prove", "start"]
    assert steps["net-02"] == ["rewind", "prove"]
    assert steps["net-03"] == []
    assert school.content(1) == b"a studen"


def test_status_and_verify_when_dirty_then_they_tell_the_truth(school: School) -> None:
    school.dirty(4)
    seen = {one.seat: one for one in verbs.status(school.context, "net").seats}
    assert seen["net-04"].extra["changed_bytes"] > 0
    assert seen["net-01"].verified is True
    report = verbs.verify(school.context, "net")
    assert [one.outcome for one in report.seats] == [
        Outcome.FAILED if one.seat == "net-04" else Outcome.DONE for one in report.seats
    ]
    deep = verbs.verify(school.context, "net", deep=True)
    assert [one.verified for one in deep.seats] == [True, True, True, False, True]
