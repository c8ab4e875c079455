"""Undo of seats with two disks, over the memory drivers: those of one seat go together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from pizarra.errors import StorageFault, Unsupported
from pizarra.model.outcome import Outcome
from pizarra.model.policy import After
from pizarra.service import verbs
from pizarra.service.recover import recover
from pizarra.service.undo import undo
from pizarra.storage.memory.store import Crash
from tests.fixtures.kills import dies_before_text
from tests.fixtures.two_disks import DISKS, TwoDisks

ORIGINAL = ["vda v1", "vdb v1"]
Act = Callable[[TwoDisks], object]


def write(host: TwoDisks, *disks: str) -> None:
    """By a student, on these."""
    host.works += 1
    for disk in disks:
        host.storage.write(f"net-01.{disk}", 0, f"work{host.works:02d}".encode())


def content(host: TwoDisks) -> list[str]:
    return [host.content(f"net-01.{disk}") for disk in DISKS]


def two_weeks(host: TwoDisks, *disks: str) -> tuple[list[str], list[str]]:
    """A week's work that was reset, and that of the next, on these disks, which was not."""
    write(host, *DISKS)
    first = content(host)
    reset(host)
    write(host, *disks)
    return first, content(host)


def reset(host: TwoDisks) -> None:
    assert verbs.reset(host.context, "net", after=After.OFF).exit_status == 0


def undo_reset(host: TwoDisks) -> None:
    assert undo(host.context, "net").exit_status == 0


def cut_off(host: TwoDisks, step: int, act: Act) -> bool:
    """Whether it got so far; then the host is on again, and recovered."""
    host.storage.crash_at(step)
    try:
        act(host)
    except Crash:
        host.power_on()
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
    undo_reset(host)
    assert content(host) == before


@pytest.mark.parametrize("step", range(1, 10))
def test_reset_when_cut_off_then_recover_does_it_for_both_and_undo_gives_this_week(
    host: TwoDisks, step: int
) -> None:
    _, before = two_weeks(host, *DISKS)
    cut_off(host, step, reset)
    assert content(host) == ORIGINAL
    undo_reset(host)
    assert content(host) == before


def test_undo_when_one_disk_was_not_written_to_then_it_is_as_it_was(host: TwoDisks) -> None:
    _, before = two_weeks(host, "vda")
    reset(host)
    undo_reset(host)
    assert content(host) == before == ["work02", "vdb v1"]


@pytest.mark.parametrize("step", range(1, 10))
def test_reset_when_cut_off_and_one_disk_was_not_written_to_then_undo_gives_this_week(
    host: TwoDisks, step: int
) -> None:
    _, before = two_weeks(host, "vda")
    cut_off(host, step, reset)
    reset(host)
    undo_reset(host)
    assert content(host) == before == ["work02", "vdb v1"]


@pytest.mark.parametrize("step", range(1, 10))
def test_undo_when_cut_off_between_the_disks_then_recover_does_it_for_both(
    host: TwoDisks, step: int
) -> None:
    write(host, *DISKS)
    before = content(host)
    reset(host)
    if cut_off(host, step, undo_reset):
        assert content(host) == before
        undo_reset(host)  # again: it is not taken back
    assert content(host) == before
    undo_reset(host)
    assert content(host) == ORIGINAL


@pytest.mark.parametrize("step", range(1, 10))
def test_reset_when_cut_off_twice_in_a_row_then_the_work_on_both_is_kept(
    host: TwoDisks, step: int
) -> None:
    _, before = two_weeks(host, *DISKS)
    cut_off(host, step, reset)
    cut_off(host, step, reset)
    reset(host)
    undo_reset(host)
    assert content(host) == before


@pytest.mark.parametrize("text", ["undo index", "journal remove"])
def test_reset_when_killed_at_its_end_and_recovered_then_the_next_is_one_of_its_own(
    host: TwoDisks, text: str
) -> None:
    write(host, *DISKS)
    assert dies_before_text(text, lambda: reset(host))
    host.power_on()
    recover(host.context)
    write(host, "vdb")
    before = content(host)
    reset(host)
    undo_reset(host)
    assert content(host) == before == ["vda v1", "work02"]


@pytest.mark.parametrize("text", ["undo index", "journal remove"])
def test_reset_when_killed_at_its_end_then_recover_rewinds_nothing(
    host: TwoDisks, text: str
) -> None:
    write(host, *DISKS)
    before = content(host)
    assert dies_before_text(text, lambda: reset(host))
    host.power_on()
    verbs.start(host.context, "net")
    write(host, *DISKS)
    verbs.stop(host.context, "net")
    since = content(host)
    recover(host.context)
    assert content(host) == since
    undo_reset(host)
    assert content(host) == before


@pytest.mark.parametrize("step", range(1, 10))
def test_reset_when_cut_off_and_started_then_the_machine_has_disks_of_one_time(
    host: TwoDisks, step: int
) -> None:
    """Nobody recovers in between; the second one dies before it does anything."""
    contents = [content(host), *two_weeks(host, *DISKS)]
    host.storage.crash_at(step)
    with suppress(Crash):
        reset(host)
    host.power_on()
    assert verbs.start(host.context, "net").exit_status == 0
    assert content(host) == ORIGINAL
    verbs.stop(host.context, "net")
    write(host, *DISKS)
    contents.append(content(host))
    for then in range(1, 12):
        host.storage.crash_at(then)
        with suppress(Crash):
            reset(host)
        host.power_on()
        with suppress(Unsupported):
            if undo(host.context, "net").exit_status == 0:
                assert content(host) in [*contents, ORIGINAL], (step, then)


@pytest.mark.parametrize("step", range(1, 10))
def test_reset_when_cut_off_and_worked_on_by_hand_and_cut_off_again_then_no_undo_mixes_weeks(
    host: TwoDisks, step: int
) -> None:
    """Nobody recovers in between, and no command of ours starts the machine."""
    contents = [content(host), *two_weeks(host, *DISKS)]
    host.storage.crash_at(step)
    with suppress(Crash):
        reset(host)
    host.power_on()
    if not is_readable(host):
        return  # whoever starts it has nothing to work on
    write(host, *DISKS)
    contents.append(content(host))
    for then in range(1, 10):
        host.storage.crash_at(then)
        with suppress(Crash):
            reset(host)
        host.power_on()
        with suppress(Unsupported):
            if undo(host.context, "net").exit_status == 0:
                assert content(host) in [*contents, ORIGINAL], (step, then)


def is_readable(host: TwoDisks) -> bool:
    try:
        return bool(content(host))
    except StorageFault:
        return False


def test_start_when_a_reset_that_keeps_nothing_was_cut_off_then_both_disks_are_original(
    host: TwoDisks,
) -> None:
    host.settings = host.settings.model_copy(update={"undo_hours": 0})
    for step in range(1, 8):
        host.power_on()
        write(host, *DISKS)
        host.storage.crash_at(step)
        with suppress(Crash):
            reset(host)
        host.power_on()
        (outcome,) = verbs.start(host.context, "net").seats
        assert outcome.outcome is Outcome.DONE
        assert content(host) == ORIGINAL, step
        verbs.stop(host.context, "net")


def test_start_when_what_was_cut_off_cannot_be_completed_then_it_is_refused(
    host: TwoDisks,
) -> None:
    host.settings = host.settings.model_copy(update={"undo_hours": 0})
    host.power_on()
    write(host, *DISKS)
    host.storage.crash_at(3)  # the first disk is done
    with pytest.raises(Crash):
        reset(host)
    host.power_on()
    lost = next(one for one in host.disks.by_uuid.values() if one.volume.name == "t.v1.vdb")
    blocks, lost.blocks = lost.blocks, None
    (outcome,) = verbs.start(host.context, "net").seats
    assert outcome.outcome is Outcome.UNKNOWN
    assert "has no content" in str(outcome.reason)
    lost.blocks = blocks
    assert verbs.start(host.context, "net").exit_status == 0
    assert content(host) == ORIGINAL
