"""Undo over the memory drivers: what comes back, what cannot, how long, and what never leaks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pizarra.engine.events import Event, Noted
from pizarra.errors import StorageFault, Unsupported
from pizarra.model.facts import Power
from pizarra.model.names import seat_uuid
from pizarra.model.outcome import WELL, Mode, Outcome
from pizarra.model.policy import After
from pizarra.service import checkpoints, classrooms, verbs
from pizarra.service.context import Context
from pizarra.service.guard import PATIENCE_S, guard
from pizarra.service.recover import recover
from pizarra.service.undo import undo
from pizarra.settings import Settings
from tests.fixtures.kills import dies_before_text
from tests.unit.test_reset import SEATS, School, outcomes

WORK = b"a studen"


@pytest.fixture
def school() -> School:
    return School()


def notes(school: School) -> list[Path]:
    """What is known of undos."""
    return list(school.context.host.undo_index.folder.iterdir())


def test_undo_when_a_class_was_reset_then_the_work_is_there_and_the_power_as_found(
    school: School,
) -> None:
    verbs.start(school.context, "net", [1])
    school.dirty(1, 2)
    school.reset()
    report = undo(school.context, "net", [1, 2])
    assert outcomes(report) == [Outcome.DONE] * 2
    assert [one.verified for one in report.seats] == [None, None]
    assert school.content(1) == school.content(2) == WORK
    assert (school.power(1), school.power(2)) == (Power.RUNNING, Power.OFF)
    assert verbs.status(school.context, "net", [1]).seats[0].verified is False


def test_undo_when_done_twice_then_the_seat_is_as_after_the_reset(school: School) -> None:
    school.dirty(1)
    school.reset([1])
    undo(school.context, "net", [1])
    undo(school.context, "net", [1])
    assert school.content(1) == b"original"
    assert verbs.verify(school.context, "net", [1]).exit_status == 0


@pytest.mark.parametrize("power", [Power.OFF, Power.RUNNING])
def test_undo_when_one_was_killed_after_some_seats_then_done_again_it_leaves_those(
    school: School, power: Power
) -> None:
    school.dirty(1, 2)
    school.reset()
    if power is Power.RUNNING:
        verbs.start(school.context, "net", [1])
    killed_at_its_end(school, undo)
    assert (school.content(1), school.power(1)) == (WORK, power)
    report = undo(school.context, "net", [1, 2])
    assert outcomes(report) == [Outcome.UNCHANGED, Outcome.DONE]
    assert "has its work again" in str(report.seats[0].reason)
    assert school.content(1) == school.content(2) == WORK
    undo(school.context, "net", [1])
    assert school.content(1) == b"original"


def test_recover_when_an_undo_was_killed_after_some_seats_then_it_says_which(
    school: School,
) -> None:
    school.dirty(1)
    school.reset()
    killed_at_its_end(school, undo)
    (report,) = recover(school.context)
    assert outcomes(report) == [Outcome.UNCHANGED] * SEATS
    assert "has its work again" in str(report.seats[0].reason)
    assert recover(school.context)[0].seats == report.seats
    report = undo(school.context, "net", [1])
    assert outcomes(report) == [Outcome.UNCHANGED]
    assert report.seats[0].verified is None, "it has its work, and is not original"
    assert school.content(1) == WORK


def test_reset_when_one_was_killed_after_some_seats_then_done_again_it_keeps_their_work(
    school: School,
) -> None:
    """What a machine writes while it boots is not what the teacher wants back."""
    verbs.start(school.context, "net", [1, 2])
    school.dirty(1, 2)
    killed_at_its_end(school, verbs.reset)
    assert school.power(1) is Power.RUNNING
    school.storage.write("net-01.vda", 0, b"it boots")
    assert school.reset([1, 2]).exit_status == 0
    assert school.content(1) == school.content(2) == b"original"
    undo(school.context, "net", [1, 2])
    assert school.content(1) == school.content(2) == WORK


def test_reset_when_one_was_killed_and_a_second_ended_then_the_third_is_one_of_its_own(
    school: School,
) -> None:
    """The second finds the disk original; what is done after it is work."""
    school.dirty(1)
    killed_at_its_end(school, verbs.reset)
    assert outcomes(school.reset([1], after=After.RUNNING)) == [Outcome.UNCHANGED]
    school.dirty(1)
    school.reset([1])
    undo(school.context, "net", [1])
    assert school.content(1) == WORK


def killed_at_its_end(school: School, verb: Callable[..., object]) -> None:
    """Of the first seat: all is done, and the record of that is still there."""
    assert dies_before_text("undo index", lambda: verb(school.context, "net", [1]))


def test_reset_when_killed_and_the_guard_went_on_with_it_then_it_is_done_and_can_be_undone(
    school: School,
) -> None:
    school.dirty(1, 2)
    assert dies_before_text("journal append", school.reset)
    guard(school.context)  # whoever gave the command may give it again
    assert len(school.context.host.journal.records()[0]) == 1
    (file,) = school.context.host.journal.folder.iterdir()
    os.utime(file, (0, time.time() - PATIENCE_S))
    guard(school.context)
    assert not list(school.context.host.journal.folder.iterdir())
    assert school.content(1) == school.content(2) == b"original"
    undo(school.context, "net", [1, 2])
    assert school.content(1) == school.content(2) == WORK


def test_reset_when_its_machine_was_started_by_hand_since_then_it_is_left_alone_until_reset(
    school: School,
) -> None:
    school.dirty(1)
    assert dies_before_text("journal append", lambda: school.reset([1]))
    school.compute.start(seat_uuid("net", 1))
    (report,) = recover(school.context)
    assert report.seats[0].outcome is Outcome.UNKNOWN
    assert "reset it again" in str(report.seats[0].reason)
    (outcome,) = checkpoints.save(school.context, "net", "half", [1]).seats
    assert outcome.outcome is Outcome.UNKNOWN
    assert school.reset([1]).exit_status == 0
    assert school.power(1) is Power.RUNNING
    undo(school.context, "net", [1])
    assert school.content(1) == WORK


def test_recover_when_a_reset_that_keeps_nothing_had_not_come_to_a_machine_then_it_goes_on(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its student does after that is work, and no guard takes it away an hour later."""
    monkeypatch.setattr(school.context.host, "settings", Settings(undo_hours=0, at_once=1))
    verbs.start(school.context, "net", [1])
    school.dirty(1)
    assert dies_before_text("memory kill", lambda: school.reset([1]))
    (report,) = recover(school.context)
    assert outcomes(report) == [Outcome.UNCHANGED] * SEATS
    assert not list(school.context.host.journal.folder.iterdir())
    assert (school.power(1), school.content(1)) == (Power.RUNNING, WORK)


def test_reset_when_storage_does_not_say_what_is_kept_then_no_machine_is_stopped(
    school: School,
) -> None:
    verbs.start(school.context, "net", [1])
    school.dirty(1)
    school.storage.fail_at("undo_slots", 1, StorageFault("the pool is not well"))
    (outcome,) = school.reset([1]).seats
    assert outcome.outcome is Outcome.FAILED
    assert "not well" in str(outcome.reason)
    assert (school.power(1), school.content(1)) == (Power.RUNNING, WORK)
    assert not list(school.context.host.journal.folder.glob("*"))
    assert school.reset([1]).exit_status == 0


def test_stop_when_an_undo_was_cut_off_and_its_machine_is_on_then_it_may_and_undo_goes_on(
    school: School,
) -> None:
    school.dirty(1)
    school.reset([1])
    assert dies_before_text("journal append", lambda: undo(school.context, "net", [1]))
    school.compute.start(seat_uuid("net", 1))
    (outcome,) = school.reset([1]).seats
    assert outcome.outcome is Outcome.UNKNOWN
    assert "stop it" in str(outcome.reason)
    assert verbs.stop(school.context, "net", [1], grace_s=0).exit_status == 0
    assert undo(school.context, "net", [1]).exit_status == 0
    assert school.content(1) == WORK


@pytest.mark.parametrize("where", ["journal append", "memory resume"])
def test_reset_when_hot_and_killed_while_it_stood_still_then_recover_lets_it_go_on(
    school: School, where: str
) -> None:
    verbs.start(school.context, "net", [1])
    school.dirty(1)
    assert dies_before_text(where, lambda: school.reset([1], Mode.HOT))
    assert school.power(1) is Power.PAUSED
    (report,) = recover(school.context)
    assert report.seats[0].outcome in WELL
    assert (school.power(1), school.content(1)) == (Power.RUNNING, b"original")
    undo(school.context, "net", [1])
    assert school.content(1) == WORK


def test_recover_when_a_record_is_damaged_then_it_is_told_after_all_else(school: School) -> None:
    school.dirty(1)
    assert dies_before_text("journal append", lambda: school.reset([1]))
    (file,) = school.context.host.journal.folder.iterdir()
    file.write_bytes(file.read_bytes()[:30])
    with pytest.raises(StorageFault, match="cannot be read"):
        recover(school.context)
    assert verbs.start(school.context, "net", [2]).exit_status == 0
    file.unlink()
    assert recover(school.context)[0].exit_status == 0


def test_recover_when_the_seats_of_a_record_are_gone_then_it_is_forgotten(school: School) -> None:
    school.dirty(1)
    assert dies_before_text("journal append", lambda: school.reset([1]))
    assert classrooms.delete(school.context, "net").exit_status == 0
    assert recover(school.context) == []
    assert not list(school.context.host.journal.folder.iterdir())


def test_undo_when_a_seat_was_not_reset_then_it_is_skipped_with_a_reason(school: School) -> None:
    school.dirty(1)
    school.reset()
    report = undo(school.context, "net")
    assert outcomes(report) == [Outcome.DONE] + [Outcome.SKIPPED] * (SEATS - 1)
    assert "not reset lately" in str(report.seats[1].reason)
    assert report.exit_status == 1


def test_undo_when_nothing_is_kept_of_any_then_it_says_so_and_stops_no_machine(
    school: School,
) -> None:
    verbs.start(school.context, "net", [1])
    with pytest.raises(Unsupported, match="not reset lately"):
        undo(school.context, "net")
    assert school.power(1) is Power.RUNNING


def test_undo_when_hot_then_it_is_kept_as_well(school: School) -> None:
    verbs.start(school.context, "net", [1])
    school.dirty(1)
    school.reset([1], Mode.HOT)
    assert outcomes(undo(school.context, "net", [1])) == [Outcome.DONE]
    assert school.content(1) == WORK


def test_undo_when_one_disk_fails_then_it_stays_off_and_the_others_have_theirs(
    school: School,
) -> None:
    school.dirty(1, 2)
    school.reset([1, 2])
    verbs.start(school.context, "net", [1])
    school.storage.fail_at("swap_with_undo", 1, StorageFault("the disk is gone"))
    report = undo(school.context, "net", [1, 2])
    assert outcomes(report) == [Outcome.FAILED, Outcome.DONE]
    assert school.power(1) is Power.OFF
    assert (school.content(1), school.content(2)) == (b"original", WORK)


def test_undo_when_it_is_too_long_ago_then_it_is_dropped_and_said(school: School) -> None:
    school.dirty(1)
    school.reset([1])
    (note,) = notes(school)
    os.utime(note, (0, time.time() - 25 * 3600))
    with pytest.raises(Unsupported):
        undo(school.context, "net", [1])
    assert not notes(school)
    seat = school.context.host.observe().classroom("net").seats[0]
    assert not any(school.context.host.undo_slots(seat.volumes).values())


def test_undo_when_the_note_is_gone_then_it_is_nobodys(school: School) -> None:
    school.dirty(1)
    school.reset([1])
    (note,) = notes(school)
    note.unlink()
    with pytest.raises(Unsupported):
        undo(school.context, "net", [1])


def test_reset_when_the_setting_keeps_nothing_then_neither_does_it(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(school.context.host, "settings", Settings(undo_hours=0))
    school.dirty(1)
    school.reset([1])
    with pytest.raises(Unsupported):
        undo(school.context, "net", [1])


def test_reset_when_space_cannot_be_given_back_then_all_are_original_and_it_is_said(
    school: School,
) -> None:
    events: list[Event] = []
    school.dirty(1)
    school.storage.fail_at("reclaim_space", 1, StorageFault("The disk is slow."))
    report = verbs.reset(Context(school.context.host, events.append), "net", [1])
    assert report.exit_status == 0
    notes = [str(event) for event in events if isinstance(event, Noted)]
    assert notes == [
        "The disk is slow. What the reset took away has its space until: pizarra recover"
    ]


def test_delete_when_something_is_kept_then_no_note_of_it_stays(school: School) -> None:
    school.dirty(1)
    school.reset([1])
    assert classrooms.delete(school.context, "net").exit_status == 0
    assert not notes(school)
