"""The process is killed before every step of a reset, an undo and a hand-out, and of the recover
after it; then somebody recovers, gives the command again, or starts the machines. Every part of a
seat must be of one time, and nobody's work may be gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from pizarra.compute import domain_edit
from pizarra.model.facts import Power
from pizarra.model.outcome import WELL, Outcome, Report
from pizarra.service import verbs
from tests.fixtures.kill_room import LESSON, ORIGINAL, SEATS, KillRoom
from tests.fixtures.kills import dies_before, steps_of

BEFORE, NOW = b"week one", b"week two"
Act = Callable[[KillRoom], Report]
Make = Callable[[], KillRoom]

KINDS = {
    "one disk": (("vda",), False),
    "two disks": (("vda", "vdb"), False),
    "firmware": (("vda",), True),
    "two disks and firmware": (("vda", "vdb"), True),
}


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, own_state: Path) -> Make:
    """Makes a room with a week's work that was reset, and that of the next, which was not."""
    numbers = count()
    disks, has_nvram = request.param

    def made() -> KillRoom:
        folder = own_state / str(next(numbers))
        (folder / "nvram").mkdir(parents=True)
        monkeypatch.setattr(domain_edit, "NVRAM_FOLDER", folder / "nvram")
        monkeypatch.setenv("PIZARRA_STATE_FOLDER", str(folder / "state"))
        room = KillRoom(disks, has_nvram=has_nvram)
        room.save_lesson()
        room.write(BEFORE, *SEATS)
        well(room.reset())
        room.write(NOW, *SEATS)
        return room

    return made


def well(report: Report) -> None:
    assert {one.outcome for one in report.seats} <= WELL, report


def killed(make: Make, act: Act) -> Iterator[tuple[int, KillRoom]]:
    """A room for each step of the act, whose process was killed before that step."""
    for step in count(1):
        room = make()
        if not dies_before(step, lambda room=room: act(room)):  # type: ignore[misc]
            assert step > len(("write the journal", "rewind", "end it"))
            return
        room.boot()
        yield step, room


ACTS = {"reset": (KillRoom.reset, ORIGINAL), "hand-out": (KillRoom.hand_out, LESSON)}
acts = pytest.mark.parametrize(("act", "then"), list(ACTS.values()), ids=list(ACTS))


@acts
def test_rewind_when_killed_and_the_power_goes_then_recover_completes_it_and_undo_has_the_work(
    make: Make, act: Act, then: bytes
) -> None:
    for step, room in killed(make, act):
        is_recorded = bool(room.records())
        room.lose_power()
        well(room.recover())
        if is_recorded:
            assert room.contents() == {then}, step
        assert not room.records()
        again = room.recover()
        assert {one.outcome for one in again.seats} == {Outcome.UNCHANGED}
        was = room.contents()
        well(room.undo())
        assert room.contents() == ({NOW} if was == {then} else {BEFORE}), step


@acts
def test_rewind_when_killed_and_given_again_then_no_boot_takes_the_place_of_the_work(
    make: Make, act: Act, then: bytes
) -> None:
    for step, room in killed(make, act):
        is_at_work = room.power(1) is Power.RUNNING and room.content(1) == NOW
        room.boots()
        well(act(room))
        assert room.contents() == {then}, step
        assert [room.power(number) for number in SEATS] == [Power.RUNNING, Power.OFF], step
        assert not room.records()
        well(room.undo())
        # a machine that had not been stopped yet went on: what it wrote is work
        assert room.content(1) == (b"it boots" if is_at_work else NOW), step
        assert room.content(2) == NOW, step


def test_undo_when_killed_and_the_power_goes_then_recover_completes_it_and_it_is_not_taken_back(
    make: Make,
) -> None:
    for step, room in killed(make, KillRoom.undo):
        is_recorded = bool(room.records())
        room.lose_power()
        well(room.recover())
        assert room.contents() == ({BEFORE} if is_recorded else {NOW}), step
        assert not room.records()
        again = room.recover()
        assert {one.outcome for one in again.seats} == {Outcome.UNCHANGED}
        well(room.undo())
        assert room.contents() == {BEFORE}, step
        well(room.undo())
        assert room.contents() == {NOW}, step


def test_undo_when_killed_and_given_again_then_it_is_done_once_and_the_power_is_as_found(
    make: Make,
) -> None:
    for step, room in killed(make, KillRoom.undo):
        well(room.undo())
        assert room.contents() == {BEFORE}, step
        assert [room.power(number) for number in SEATS] == [Power.RUNNING, Power.OFF], step
        assert not room.records()
        well(room.undo())
        assert room.contents() == {NOW}, step


@pytest.mark.parametrize("act", [KillRoom.reset, KillRoom.undo, KillRoom.hand_out])
def test_start_when_something_was_killed_then_no_machine_runs_on_a_mixture(
    make: Make, act: Act
) -> None:
    for step, room in killed(make, act):
        for one in verbs.start(room.context, "net").seats:
            number = int(one.seat[-2:])
            if one.outcome in WELL:
                assert room.content(number) in {NOW, BEFORE, ORIGINAL, LESSON}, step
            else:
                assert "cut off" in str(one.reason), step


@pytest.mark.parametrize("act", [KillRoom.reset, KillRoom.undo, KillRoom.hand_out])
def test_recover_when_killed_too_then_the_next_one_ends_it(make: Make, act: Act) -> None:
    room = make()
    steps = len(steps_of(lambda: act(room)))
    for step in range(2, steps + 1, 5):
        for again in count(1):
            room = make()
            if not dies_before(step, lambda room=room: act(room)):  # type: ignore[misc]
                break  # threads may share a batch, or not
            room.lose_power()
            if not dies_before(again, room.recover):
                break
            room.lose_power()
            well(room.recover())
            contents = room.contents()
            assert len(contents) == 1, (step, again)
            assert not room.records()
            if contents in ({ORIGINAL}, {LESSON}):
                well(room.undo())
                assert room.contents() == {NOW}, (step, again)
