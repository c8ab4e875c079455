"""Undo of seats with two disks, over the memory drivers: those of one seat go together."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

import pytest

from pizarra.engine import undo_notes
from pizarra.errors import StorageFault, Unsupported
from pizarra.model.outcome import Outcome
from pizarra.model.policy import After
from pizarra.service import verbs
from pizarra.service.recover import recover
from pizarra.service.undo import undo as undo_seats
from pizarra.storage.memory.store import Crash
from tests.fixtures.two_disks import DISKS, TwoDisks

ORIGINAL = ["vda v1", "vdb v1"]
Act = Callable[[TwoDisks], object]


def written(host: TwoDisks, *disks: str) -> None:
    """By a student, on these."""
    host.works += 1
    for disk in disks:
        host.storage.write(f"net-01.{disk}", 0, f"work{host.works:02d}".encode())


def content(host: TwoDisks) -> list[str]:
    return [host.content(f"net-01.{disk}") for disk in DISKS]


def two_weeks(host: TwoDisks, *disks: str) -> tuple[list[str], list[str]]:
    """A week's work that was reset, and that of the next, on these disks, which was not."""
    written(host, *DISKS)
    first = content(host)
    reset(host)
    written(host, *disks)
    return first, content(host)


def reset(host: TwoDisks) -> None:
    assert verbs.reset(host.context, "net", after=After.OFF).exit_status == 0


def undo(host: TwoDisks) -> None:
    assert undo_seats(host.context, "net").exit_status == 0


def cut_off(host: TwoDisks, step: int, act: Act) -> bool:
    """Whether it got so far; then the host is on again, and recovered."""
    host.storage.crash_at(step)
    try:
        act(host)
    except Crash:
        host.powered()
        recover(host.context)
        return True
    host.storage.crash_at(0)
    return False


@pytest.fixture
def host() -> TwoDisks:
    host = TwoDisks()
    host.classroom(1)
    return host


@pytest.mark.parametrize("step", range(1, 10))
def test_reset_when_cut_off_and_done_again_then_the_work_on_both_is_kept(
    host: TwoDisks, step: int
) -> None:
    _, before = two_weeks(host, *DISKS)
    cut_off(host, step, reset)
    reset(host)
    assert content(host) == ORIGINAL
    undo(host)
    assert content(host) == before


@pytest.mark.parametrize("step", range(1, 10))
def test_reset_when_cut_off_then_no_undo_mixes_two_weeks(host: TwoDisks, step: int) -> None:
    first, second = two_weeks(host, *DISKS)
    was_cut = cut_off(host, step, reset)
    try:
        undo(host)
    except Unsupported:
        assert was_cut
    else:
        assert content(host) in (first, second)


def test_undo_when_one_disk_was_not_written_to_then_it_is_as_it_was(host: TwoDisks) -> None:
    _, before = two_weeks(host, "vda")
    reset(host)
    undo(host)
    assert content(host) == before == ["work02", "vdb v1"]


@pytest.mark.parametrize("step", range(1, 10))
def test_reset_when_cut_off_and_one_disk_was_not_written_to_then_undo_gives_this_week(
    host: TwoDisks, step: int
) -> None:
    _, before = two_weeks(host, "vda")
    cut_off(host, step, reset)
    reset(host)
    if content(host) != before:
        undo(host)
    assert content(host) == before == ["work02", "vdb v1"]


@pytest.mark.parametrize("step", range(1, 6))
def test_undo_when_cut_off_between_the_disks_then_recover_does_it_for_both(
    host: TwoDisks, step: int
) -> None:
    written(host, *DISKS)
    before = content(host)
    reset(host)
    if cut_off(host, step, undo):
        assert content(host) in (before, ORIGINAL)
        undo(host)  # again: it is not taken back
    assert content(host) == before
    undo(host)
    assert content(host) == ORIGINAL


@pytest.mark.parametrize("step", range(1, 10))
def test_reset_when_cut_off_twice_in_a_row_then_the_work_on_both_is_kept(
    host: TwoDisks, step: int
) -> None:
    _, before = two_weeks(host, *DISKS)
    cut_off(host, step, reset)
    cut_off(host, step, reset)
    reset(host)
    undo(host)
    assert content(host) == before


def test_reset_when_the_end_of_one_was_not_noted_then_the_next_is_one_of_its_own(
    host: TwoDisks, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(host, *DISKS)
    with monkeypatch.context() as now:
        now.setattr(undo_notes, "end", lambda _: None)
        reset(host)
    for note in undo_notes.NOTES.glob("*.under-way"):
        os.utime(note, (0, 0), follow_symlinks=False)  # long ago
    written(host, "vdb")
    before = content(host)
    reset(host)
    undo(host)
    assert content(host) == before == ["vda v1", "work02"]


def test_reset_when_only_some_ends_were_noted_then_recover_rewinds_nothing(
    host: TwoDisks, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(host, *DISKS)
    before = content(host)
    ended = undo_notes.end
    with monkeypatch.context() as now:
        now.setattr(undo_notes, "end", lambda volumes: ended(volumes[:1]))
        reset(host)
    recover(host.context)
    undo(host)
    assert content(host) == before


@pytest.mark.parametrize("step", range(1, 10))
def test_reset_when_cut_off_and_worked_on_and_cut_off_again_then_no_undo_mixes_weeks(
    host: TwoDisks, step: int
) -> None:
    """Nobody recovers in between; the second one dies before it does anything."""
    contents = [content(host), *two_weeks(host, *DISKS)]
    host.storage.crash_at(step)
    with suppress(Crash):
        reset(host)
    host.powered()
    if not is_readable(host):
        return  # whoever starts it has nothing to work on
    written(host, *DISKS)
    contents.append(content(host))
    for then in range(1, 8):
        host.storage.crash_at(then)
        with suppress(Crash):
            reset(host)
        host.powered()
        with suppress(Unsupported):
            if undo_seats(host.context, "net").exit_status == 0:
                assert content(host) in [*contents, ORIGINAL], (step, then)


def is_readable(host: TwoDisks) -> bool:
    try:
        return bool(content(host))
    except StorageFault:
        return False


def test_start_when_a_reset_was_cut_off_between_the_disks_then_it_is_refused(
    host: TwoDisks,
) -> None:
    halves = 0
    for step in range(1, 10):
        two_weeks(host, *DISKS)
        host.storage.crash_at(step)
        with suppress(Crash):
            reset(host)
        host.powered()
        (outcome,) = verbs.start(host.context, "net").seats
        if not is_readable(host):
            assert "pizarra recover" in str(outcome.reason)
        elif 0 < sum(one.endswith("v1") for one in content(host)) < len(DISKS):
            halves += 1
            assert "half done" in str(outcome.reason)
        else:
            assert outcome.outcome is Outcome.DONE
        verbs.stop(host.context, "net")
        recover(host.context)
        reset(host)
    assert halves
