"""Checkpoints over the memory drivers: saved, restored, handed out, taken back, forgotten."""

from __future__ import annotations

import pytest

from pizarra.errors import AlreadyExists, BadInput, ComputeFault, NotFound, StorageFault
from pizarra.model.facts import Power
from pizarra.model.labels import CheckpointLabels
from pizarra.model.names import seat_uuid
from pizarra.model.outcome import Outcome
from pizarra.service import checkpoints, classrooms, templates, verbs
from pizarra.service.undo import undo
from tests.unit.test_reset import SEATS, School, outcomes

WORK, ORIGINAL = b"a studen", b"original"


@pytest.fixture
def school() -> School:
    return School()


def saved_volumes(school: School) -> int:
    facts = school.context.host.observe()
    return sum(isinstance(volume.labels, CheckpointLabels) for volume in facts.volumes.values())


def test_restore_when_saved_then_each_has_its_own_and_the_power_as_found(school: School) -> None:
    verbs.start(school.context, "net", [1])
    school.dirty(1)
    school.compute.calls.clear()
    assert outcomes(checkpoints.save(school.context, "net", "half", [1, 2])) == [Outcome.DONE] * 2
    called = [call for call, uuid in school.compute.calls if uuid == seat_uuid("net", 1)]
    assert called == ["xml", "live_xml", "pause", "resume"], (
        "it stands still meanwhile, and goes on"
    )
    school.reset()
    school.dirty(2)
    report = checkpoints.restore(school.context, "net", "half")
    assert [one.seat for one in report.seats] == ["net-01", "net-02"]
    assert outcomes(report) == [Outcome.DONE] * 2
    assert all(one.verified for one in report.seats)
    assert (school.content(1), school.content(2)) == (WORK, ORIGINAL)
    assert (school.power(1), school.power(2)) == (Power.RUNNING, Power.OFF)
    seen = {one.seat: one for one in verbs.status(school.context, "net").seats}
    assert (seen["net-01"].verified, seen["net-02"].verified) == (False, True)


def test_restore_when_undone_then_the_state_before_is_there(school: School) -> None:
    checkpoints.save(school.context, "net", "start", [1])
    school.dirty(1)
    checkpoints.restore(school.context, "net", "start", [1])
    assert school.content(1) == ORIGINAL
    undo(school.context, "net", [1])
    assert school.content(1) == WORK


def test_restore_when_a_seat_has_none_then_skipped_and_a_name_that_is_none_is_told(
    school: School,
) -> None:
    checkpoints.save(school.context, "net", "one", [1])
    report = checkpoints.restore(school.context, "net", "one", [1, 2])
    assert outcomes(report) == [Outcome.DONE, Outcome.SKIPPED]
    with pytest.raises(NotFound, match="no checkpoint two") as error:
        checkpoints.restore(school.context, "net", "two")
    assert error.value.advice == "It has: one."


def test_hand_out_when_the_teacher_prepared_a_seat_then_all_have_it(school: School) -> None:
    school.dirty(1)
    checkpoints.save(school.context, "net", "prepared", [1])
    report = checkpoints.hand_out(school.context, "net", "prepared", 1)
    assert outcomes(report) == [Outcome.DONE] * SEATS
    assert [school.content(number) for number in range(1, SEATS + 1)] == [WORK] * SEATS
    school.reset()
    assert school.content(3) == ORIGINAL
    with pytest.raises(NotFound):
        checkpoints.hand_out(school.context, "net", "prepared", 99)
    skipped = checkpoints.hand_out(school.context, "net", "prepared", 2)
    assert set(outcomes(skipped)) == {Outcome.SKIPPED}


def test_save_when_the_name_is_there_or_cannot_be_then_nothing_is_paused(school: School) -> None:
    verbs.start(school.context, "net", [1])
    checkpoints.save(school.context, "net", "one", [1])
    school.compute.calls.clear()
    for name, error in (("one", AlreadyExists), ("../x", BadInput), ("a b", BadInput)):
        with pytest.raises(error):
            checkpoints.save(school.context, "net", name)
    assert {call for call, _ in school.compute.calls} <= {"observe", "xml", "live_xml"}
    assert saved_volumes(school) == 1


def test_save_when_some_cannot_then_they_alone_fail_and_leave_nothing(school: School) -> None:
    verbs.start(school.context, "net", [1, 2])
    school.compute.fail_at("pause", seat_uuid("net", 1), ComputeFault("it will not"))
    school.storage.fail_at("create_checkpoints", 2, StorageFault("no room"))
    report = checkpoints.save(school.context, "net", "one")
    assert [one.outcome for one in report.seats].count(Outcome.FAILED) == 2
    assert report.seats[0].outcome is Outcome.FAILED
    assert saved_volumes(school) == SEATS - 2
    assert school.power(2) is Power.RUNNING


def test_list_when_saved_then_tells_seats_and_what_differs(school: School) -> None:
    assert checkpoints.list_checkpoints(school.context, "net") == []
    school.dirty(1)
    checkpoints.save(school.context, "net", "one", [1, 2])
    (one,) = checkpoints.list_checkpoints(school.context, "net")
    assert (one["checkpoint"], one["seats"]) == ("one", ["net-01", "net-02"])
    assert one["differs_bytes"] == 4096
    with pytest.raises(NotFound):
        checkpoints.list_checkpoints(school.context, "none")


def test_delete_when_told_then_forgotten_and_with_the_classroom_all_go(school: School) -> None:
    checkpoints.save(school.context, "net", "one")
    checkpoints.save(school.context, "net", "two", [1])
    assert outcomes(checkpoints.delete(school.context, "net", "one", [1, 2])) == [Outcome.DONE] * 2
    assert saved_volumes(school) == SEATS - 2 + 1
    with pytest.raises(BadInput, match="stand on"):
        templates.delete(school.context, "t")
    assert classrooms.delete(school.context, "net").exit_status == 0
    assert saved_volumes(school) == 0
