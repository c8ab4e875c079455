"""Undo over the memory drivers: what comes back, what cannot, how long, and what never leaks."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from pizarra.engine import undo_notes
from pizarra.engine.events import Event, Noted
from pizarra.errors import StorageFault, Unsupported
from pizarra.model.facts import Power, Volume
from pizarra.model.labels import Labels, SeatLabels, TemplateLabels
from pizarra.model.outcome import Mode, Outcome
from pizarra.model.policy import After
from pizarra.service import classrooms, verbs
from pizarra.service.context import Context
from pizarra.service.recover import recover
from pizarra.service.undo import undo
from pizarra.settings import Settings
from pizarra.storage.dm_thin.ids import PROBE, UNDO_A, UNDO_B
from pizarra.storage.dm_thin.metadata import Thin
from pizarra.storage.dm_thin.undo import PoolMessages, holders, messages_after_crash
from pizarra.storage.kinds import Kind
from tests.unit.test_reset import SEATS, School, outcomes

WORK = b"a studen"


@pytest.fixture
def school() -> School:
    return School()


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
    school: School, monkeypatch: pytest.MonkeyPatch, power: Power
) -> None:
    school.dirty(1, 2)
    school.reset()
    if power is Power.RUNNING:
        verbs.start(school.context, "net", [1])
    killed_at_its_end(school, monkeypatch, undo)
    assert (school.content(1), school.power(1)) == (WORK, power)
    report = undo(school.context, "net", [1, 2])
    assert outcomes(report) == [Outcome.UNCHANGED, Outcome.DONE]
    assert "has its work again" in str(report.seats[0].reason)
    assert school.content(1) == school.content(2) == WORK
    undo(school.context, "net", [1])
    assert school.content(1) == b"original"


def test_recover_when_an_undo_was_killed_after_some_seats_then_it_says_which(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    school.dirty(1)
    school.reset()
    killed_at_its_end(school, monkeypatch, undo)
    (report,) = recover(school.context)
    assert outcomes(report) == [Outcome.UNCHANGED] * SEATS
    assert "has its work again" in str(report.seats[0].reason)
    assert recover(school.context)[0].seats == report.seats
    report = undo(school.context, "net", [1])
    assert outcomes(report) == [Outcome.UNCHANGED]
    assert school.content(1) == WORK


def test_reset_when_one_was_killed_after_some_seats_then_done_again_it_keeps_their_work(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a machine writes while it boots is not what the teacher wants back."""
    verbs.start(school.context, "net", [1, 2])
    school.dirty(1, 2)
    killed_at_its_end(school, monkeypatch, verbs.reset)
    assert school.power(1) is Power.RUNNING
    school.storage.write("net-01.vda", 0, b"it boots")
    assert school.reset([1, 2]).exit_status == 0
    assert school.content(1) == school.content(2) == b"original"
    undo(school.context, "net", [1, 2])
    assert school.content(1) == school.content(2) == WORK


def test_reset_when_one_was_killed_and_a_second_ended_then_the_third_is_one_of_its_own(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second finds the disk original; what is done after it is work."""
    school.dirty(1)
    killed_at_its_end(school, monkeypatch, verbs.reset)
    assert outcomes(school.reset([1], after=After.RUNNING)) == [Outcome.UNCHANGED]
    school.dirty(1)
    school.reset([1])
    undo(school.context, "net", [1])
    assert school.content(1) == WORK


def killed_at_its_end(school: School, monkeypatch: pytest.MonkeyPatch, verb: Any) -> None:
    """Of the first seat: all is done, and other seats would follow."""

    def killed(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as now, pytest.raises(KeyboardInterrupt):
        now.setattr(undo_notes, "end", killed)
        verb(school.context, "net", [1])


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
    (note,) = undo_notes.NOTES.iterdir()
    os.utime(note, (0, time.time() - 25 * 3600))
    with pytest.raises(Unsupported):
        undo(school.context, "net", [1])
    assert not list(undo_notes.NOTES.iterdir())
    assert (
        school.context.host.volumes_with_undo(school.context.host.observe().classroom("net").seats)
        == set()
    )


def test_undo_when_the_note_is_gone_then_it_is_nobodys(school: School) -> None:
    school.dirty(1)
    school.reset([1])
    (note,) = undo_notes.NOTES.iterdir()
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
    assert not list(undo_notes.NOTES.iterdir())


def pool(*made: tuple[int, int]) -> dict[int, Thin]:
    """Thin id and root of each, in the order in which they were made."""
    return {thin_id: Thin(root, when) for when, (thin_id, root) in enumerate(made)}


def test_settlement_when_a_label_was_taken_away_then_what_is_kept_waits() -> None:
    there = pool((5, 20), (UNDO_A + 5, 30), (UNDO_B + 5, 10), (UNDO_A + 6, 30))
    todo = [PoolMessages(6, (f"delete {UNDO_A + 6}",))]
    assert messages_after_crash(there, frozenset(), frozenset({5})) == todo


def test_settlement_when_a_trial_of_a_baseline_was_cut_off_then_it_goes() -> None:
    there = pool((1, 20), (5, 20), (PROBE, 20))
    assert messages_after_crash(there, frozenset({5}), frozenset()) == [
        PoolMessages(0, (f"delete {PROBE}",))
    ]


def test_holders_when_asked_then_seats_and_the_unlabelled_but_no_golden_volume() -> None:
    def thin(thin_id: int, labels: Labels | None) -> Volume:
        return Volume(
            kind=Kind.LVM_THIN,
            place="vg",
            name=f"v{thin_id}",
            uuid=str(thin_id),
            path=Path(f"/dev/vg/v{thin_id}"),
            size_bytes=1,
            labels=labels,
            thin_id=thin_id,
        )

    volumes = [
        thin(0, None),
        thin(1, TemplateLabels(template="t", version=1)),
        thin(2, SeatLabels(classroom="c", seat=1)),
        thin(3, None),
    ]
    assert holders(volumes) == (frozenset({2}), frozenset({3}))
