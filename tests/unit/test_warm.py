"""Warm baselines and checkpoints with RAM, over the memory drivers."""

from __future__ import annotations

from pathlib import Path

import pytest

from pizarra.errors import ComputeFault
from pizarra.model.facts import Power
from pizarra.model.outcome import Mode, Outcome
from pizarra.model.policy import After
from pizarra.service import checkpoints, classrooms, verbs
from pizarra.service.undo import undo
from pizarra.service.warm import warm as make_warm
from pizarra.settings import Settings
from tests.unit.test_reset import School


def rams() -> list[Path]:
    folder = Settings().state_folder / "machines"
    return sorted(folder.iterdir()) if folder.exists() else []


@pytest.fixture
def warm() -> School:
    """Seats 1 to 3 have a warm baseline, made while seat 1 ran and had work on it."""
    school = School()
    verbs.start(school.context, "net", [1])
    school.dirty(1)
    report = make_warm(school.context, "net", [1, 2, 3], settle_s=0.01)
    assert (report.exit_status, len(rams())) == (0, 3), report
    return school


def woken(school: School) -> set[str]:
    names = {seat.domain_uuid: seat.name for seat in
             school.context.host.observe().classroom("net").seats}  # fmt: skip
    return {names[uuid] for call, uuid in school.compute.calls if call == "restore_ram"}


def test_warm_when_made_then_machines_are_as_found_and_an_undo_has_the_work(warm: School) -> None:
    assert [warm.power(n) for n in (1, 2, 3)] == [Power.RUNNING, Power.OFF, Power.OFF]
    assert [warm.content(n) for n in (1, 2, 3)] == [b"original"] * 3
    assert undo(warm.context, "net", [1]).exit_status == 0
    assert warm.content(1) != b"original"


def test_reset_when_warm_then_machines_wake_and_are_proven(warm: School) -> None:
    warm.dirty(1, 2)
    warm.compute.calls.clear()
    report = verbs.reset(warm.context, "net", [1, 2, 3], mode=Mode.WARM, after=After.RUNNING)
    assert [(one.outcome, one.verified) for one in report.seats] == [(Outcome.DONE, True)] * 3
    assert report.mode == "warm"
    assert woken(warm) == {"net-01", "net-02", "net-03"}
    assert {warm.power(n) for n in (1, 2, 3)} == {Power.RUNNING}
    assert "start" not in {call for call, _ in warm.compute.calls}


def test_reset_when_warm_and_machines_stay_off_then_is_a_cold_one(warm: School) -> None:
    warm.dirty(2)
    warm.compute.calls.clear()
    report = verbs.reset(warm.context, "net", [2], mode=Mode.WARM)
    assert (report.seats[0].outcome, warm.power(2)) == (Outcome.DONE, Power.OFF)
    assert woken(warm) == set()


def test_reset_when_there_is_no_warm_baseline_then_starts_cold_and_says_why(warm: School) -> None:
    warm.dirty(4)
    report = verbs.reset(warm.context, "net", [4], mode=Mode.WARM, after=After.RUNNING)
    (four,) = report.seats
    assert (four.outcome, four.verified, warm.power(4)) == (Outcome.DONE, True, Power.RUNNING)
    assert str(four.reason).startswith("it starts cold: it has no warm baseline")


def test_reset_when_the_machine_has_changed_since_then_starts_cold(warm: School) -> None:
    spec = classrooms.spec_of(warm.context.host.observe().classroom("net"))
    classrooms.change_machines(warm.context, type(spec)(**{
        **{name: getattr(spec, name) for name in spec.__dataclass_fields__}, "vcpus": 4,
    }))  # fmt: skip
    report = verbs.reset(warm.context, "net", [1], mode=Mode.WARM, after=After.RUNNING)
    assert "has changed" in str(report.seats[0].reason)


def test_reset_when_the_ram_is_refused_then_boots_the_original_and_keeps_the_undo(
    warm: School,
) -> None:
    warm.dirty(2)
    for path in rams():
        path.write_text("of another machine", encoding="utf-8")
    report = verbs.reset(warm.context, "net", [2], mode=Mode.WARM, after=After.RUNNING)
    (two,) = report.seats
    assert (two.outcome, two.verified, warm.power(2)) == (Outcome.DONE, True, Power.RUNNING)
    assert "holds no RAM" in str(two.reason)
    undo(warm.context, "net", [2])
    assert warm.content(2) != b"original", "the student's work is still to be had"


def test_warm_when_made_again_then_one_of_each_is_left(warm: School) -> None:
    make_warm(warm.context, "net", [1, 2], settle_s=0.01)
    assert len(rams()) == 3
    (one,) = checkpoints.list_checkpoints(warm.context, "net")
    assert (one["checkpoint"], len(one["seats"])) == ("warm", 3)
    assert one["ram_bytes"] > 0


def test_warm_when_a_machine_cannot_be_saved_then_the_others_are(
    warm: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = warm.compute.save_ram
    third = warm.context.host.observe().classroom("net").seats[2].domain_uuid

    def refuses(uuid: str, path: Path) -> None:
        if uuid == third:
            raise ComputeFault("a device of it forbids it")
        real(uuid, path)

    monkeypatch.setattr(warm.compute, "save_ram", refuses)
    report = make_warm(warm.context, "net", [1, 2, 3], settle_s=0.01)
    assert [one.outcome for one in report.seats] == [Outcome.DONE, Outcome.DONE, Outcome.FAILED]
    assert "forbids" in str(report.seats[2].reason)
    assert warm.power(3) is Power.OFF


def test_checkpoint_when_saved_with_ram_then_restored_with_it_and_gone_with_it(
    warm: School,
) -> None:
    verbs.start(warm.context, "net", [2])
    warm.dirty(2)
    checkpoints.save(warm.context, "net", "lesson", [2], ram=True)
    assert warm.power(2) is Power.RUNNING
    verbs.reset(warm.context, "net", [2])
    warm.compute.calls.clear()
    report = checkpoints.restore(warm.context, "net", "lesson")
    assert (report.exit_status, woken(warm)) == (0, {"net-02"})
    assert warm.content(2) != b"original"
    before = len(rams())
    checkpoints.delete(warm.context, "net", "lesson")
    assert len(rams()) == before - 1


def test_classroom_when_deleted_then_no_ram_is_left(warm: School) -> None:
    assert classrooms.delete(warm.context, "net").exit_status == 0
    assert rams() == []
