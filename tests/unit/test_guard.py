"""The pool guard over the memory drivers: told, refused, and room made from undos."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pizarra.engine.events import Event, Noted
from pizarra.engine.memory_host import memory_host
from pizarra.errors import ComputeFault, NoSpace
from pizarra.model.facts import Power
from pizarra.model.outcome import Outcome
from pizarra.model.policy import After, ResetBy
from pizarra.model.sizes import MIB
from pizarra.planner.reset import pairs_of
from pizarra.service import apply, verbs
from pizarra.service.context import Context
from pizarra.service.freeze import unfreeze
from pizarra.service.guard import guard
from pizarra.service.undo import undo
from pizarra.settings import Settings
from tests.unit.test_reset import School


@pytest.fixture
def school() -> School:
    return School()


def noting(school: School) -> tuple[Context, list[str]]:
    notes: list[str] = []

    def heard(event: Event) -> None:
        if isinstance(event, Noted):
            notes.append(str(event))

    return Context(school.context.host, heard), notes


def test_start_when_the_pool_could_fill_then_the_numbers_are_said(school: School) -> None:
    school.storage.disks.size_bytes = 20 * MIB
    context, notes = noting(school)
    assert verbs.start(context, "net").exit_status == 0
    assert any("5 seats need up to 40 MiB" in note for note in notes), notes


def test_start_when_the_pool_is_nearly_full_then_refused_and_none_runs(school: School) -> None:
    school.dirty(1, 2, 3)
    school.storage.disks.size_bytes = school.storage.disks.used_bytes()
    with pytest.raises(NoSpace, match="0 B are free"):
        verbs.start(school.context, "net")
    assert {school.power(number) for number in range(1, 6)} == {Power.OFF}


def test_start_when_undos_fill_the_pool_then_the_oldest_go_and_it_is_said(school: School) -> None:
    school.dirty(1, 2)
    school.reset([1])
    school.reset([2])
    disks = school.storage.disks
    disks.size_bytes = 2 * 4096
    context, notes = noting(school)
    assert verbs.start(context, "net", [3]).exit_status == 0
    assert [note for note in notes if "net-01 can be undone no more" in note]
    assert not [note for note in notes if "net-02 can be undone no more" in note]
    assert undo(school.context, "net", [2]).exit_status == 0


def test_start_when_a_crash_left_space_to_give_back_then_that_comes_before_any_undo(
    school: School,
) -> None:
    """What a reset without an undo took away; that of the reset before stays."""
    school.dirty(1)
    school.reset([1])
    school.dirty(1)
    (seat,) = [one for one in school.context.host.observe().classroom("net").seats
               if one.number == 1]  # fmt: skip
    assert not any(school.context.host.rewind(list(pairs_of(seat))).values())
    school.storage.disks.size_bytes = 2 * 4096
    context, notes = noting(school)
    assert verbs.start(context, "net", [3]).exit_status == 0
    assert not [note for note in notes if "no more" in note]
    assert undo(school.context, "net", [1]).exit_status == 0


# ---- who fills a pool stands still


class Lesson:
    """A class that runs, on a host that remembers what its guard saw."""

    def __init__(self, folder: Path) -> None:
        self.school, self.notes = School(), list[str]()
        settings = Settings(state_folder=folder, run_folder=folder / "run",
                            pool_reserve_percent=50)  # fmt: skip
        host = memory_host(self.school.storage, self.school.compute, settings)
        self.context = Context(host, self._hear)
        self.folder = settings.growth_folder
        assert verbs.start(self.context, "net").exit_status == 0
        self.notes.clear()

    def _hear(self, event: Event) -> None:
        if isinstance(event, Noted):
            self.notes.append(str(event))

    def write(self, number: int, blocks: int) -> None:
        """A student writes to this many new blocks of 4 KiB."""
        for block in range(blocks):
            name = f"net-{number:02d}.vda"
            self.school.storage.write(name, 4096 * (100 * number + block), b"a student was here")

    def guard(self, free_share: float) -> list[str]:
        """The guard looks at a pool of which so much is free; what it says."""
        disks = self.school.storage.disks
        disks.size_bytes = round(disks.used_bytes() / (1 - free_share))
        self.notes.clear()
        guard(self.context)
        return self.notes

    def a_minute_passes(self) -> None:
        file = self.folder / "seats.json"
        look = json.loads(file.read_text())
        file.write_text(json.dumps({**look, "at": look["at"] - 60}))

    def powers(self) -> list[str]:
        return [str(self.school.power(number)) for number in range(1, 6)]

    def reasons(self) -> list[str]:
        return [str(one.reason) for one in verbs.status(self.context, "net").seats]


@pytest.fixture
def lesson(tmp_path: Path) -> Lesson:
    return Lesson(tmp_path)


def test_guard_when_a_pool_is_at_its_reserve_then_who_writes_fastest_stands_still_first(
    lesson: Lesson,
) -> None:
    lesson.write(4, 60)
    assert lesson.guard(free_share=0.8) == []
    lesson.a_minute_passes()
    lesson.write(2, 40)
    lesson.write(5, 1)
    lesson.school.compute.calls.clear()
    told = lesson.guard(free_share=0.4)
    acts = [call for call, _ in lesson.school.compute.calls if call != "observe"]
    assert acts[0] == "pause", "before anything else"
    assert lesson.powers() == ["running", "paused", "running", "running", "running"], "not net-04"
    assert any("net-02, which wrote 1" in one for one in told)
    assert "storage is nearly full" in lesson.reasons()[1]


def test_guard_when_nobody_writes_any_more_then_nobody_is_paused(lesson: Lesson) -> None:
    lesson.write(4, 60)
    lesson.guard(free_share=0.8)
    lesson.a_minute_passes()
    lesson.guard(free_share=0.4)
    assert set(lesson.powers()) == {"running"}


def test_go_on_when_the_guard_paused_it_then_only_a_start_with_room_lets_it(
    lesson: Lesson,
) -> None:
    lesson.write(2, 40)
    lesson.guard(free_share=0.4)
    (skipped,) = unfreeze(lesson.context, "net", [2]).seats
    assert skipped.outcome is Outcome.SKIPPED
    with pytest.raises(NoSpace):
        verbs.start(lesson.context, "net", [2])
    assert lesson.powers()[1] == "paused"
    lesson.school.storage.disks.size_bytes *= 10
    assert verbs.start(lesson.context, "net", [2]).exit_status == 0
    assert lesson.powers()[1] == "running"
    assert "nearly full" not in lesson.reasons()[1]


def test_guard_when_undos_make_room_then_who_was_paused_goes_on(lesson: Lesson) -> None:
    lesson.write(1, 60)
    verbs.reset(lesson.context, "net", [1])
    lesson.write(2, 20)
    told = lesson.guard(free_share=0.4)
    assert any("net-01 can be undone no more" in one for one in told)
    assert told[-1] == "There is room again: net-02 goes on."
    assert set(lesson.powers()) == {"running"}


def test_guard_when_a_pool_will_be_full_before_the_next_look_then_it_does_not_wait(
    lesson: Lesson,
) -> None:
    lesson.guard(free_share=0.9)
    lesson.a_minute_passes()
    lesson.write(3, 200)
    lesson.guard(free_share=0.7)
    assert lesson.powers()[2] == "paused"


def test_start_when_a_student_asks_for_a_fast_writer_then_not_before_there_is_room_for_a_minute(
    lesson: Lesson,
) -> None:
    lesson.write(3, 200)
    lesson.guard(free_share=0.7)
    assert lesson.powers()[2] == "paused", "before the pool is at its reserve"
    with pytest.raises(NoSpace):
        verbs.start(replace(lesson.context, by=ResetBy.STUDENTS), "net", [3])
    teacher = replace(lesson.context, by=ResetBy.TEACHERS)
    assert verbs.start(teacher, "net", [3]).exit_status == 0


def test_guard_when_a_seat_wrote_more_than_its_classroom_allows_then_it_stands_still(
    lesson: Lesson, tmp_path: Path
) -> None:
    file = tmp_path / "net.yaml"
    usual = "classroom: net\ntemplate: t\nseats: 5\nmemory: 64M\nstorage: memory\n"
    file.write_text(f"{usual}growth: 1M\n")
    apply.carry_out(lesson.context, apply.plan(lesson.context, apply.read_spec(file)))
    lesson.school.storage.disks.size_bytes = 1 << 40
    for number, blocks in ((1, 16), (2, 300)):
        for block in range(blocks):
            lesson.school.storage.write(f"net-{number:02d}.vda", 4096 * block, b"x")
    guard(lesson.context)
    assert lesson.powers() == ["running", "paused", "running", "running", "running"]
    assert "wrote as much as its classroom allows" in lesson.reasons()[1]
    (held,) = verbs.start(lesson.context, "net", [2]).seats
    assert held.outcome is Outcome.SKIPPED
    assert verbs.reset(lesson.context, "net", [2], after=After.RUNNING).exit_status == 0
    guard(lesson.context)
    assert set(lesson.powers()) == {"running"}


def test_guard_when_another_command_works_on_a_seat_over_its_growth_then_it_is_left_to_that(
    lesson: Lesson, tmp_path: Path
) -> None:
    file = tmp_path / "net.yaml"
    usual = "classroom: net\ntemplate: t\nseats: 5\nmemory: 64M\nstorage: memory\n"
    file.write_text(f"{usual}growth: 1M\n")
    apply.carry_out(lesson.context, apply.plan(lesson.context, apply.read_spec(file)))
    lesson.write(2, 300)
    with lesson.context.claim(["seat:net-02"], "reset", shared=["classroom:net"]):
        told = lesson.guard(free_share=0.9)
    assert lesson.powers()[1] == "running", "its pool has room: the next look pauses it"
    assert any("net-02 could not be paused" in one for one in told)


def test_guard_when_the_firewall_was_flushed_then_it_is_raised_and_said(lesson: Lesson) -> None:
    lesson.school.compute.has_fence = False
    assert "The firewall between seats was not whole: it stands again." in lesson.guard(0.9)
    assert lesson.guard(0.9) == []


def test_guard_when_networks_lost_their_rules_then_libvirt_makes_them_anew_and_it_is_said(
    school: School,
) -> None:
    context, notes = noting(school)
    school.compute.bare_networks.add("pizarra-net")
    guard(context)
    assert not school.compute.bare_networks
    assert [note for note in notes if "pizarra-net" in note and "anew" in note]
    guard(context)
    school.compute.bare_networks.add("pizarra-net")  # another day
    guard(context)
    assert not school.compute.bare_networks


def test_guard_when_the_rules_cannot_be_renewed_then_libvirt_is_restarted_only_once(
    school: School,
) -> None:
    context, notes = noting(school)
    school.compute.bare_networks.add("default")
    school.compute.fail_at("renew_network_rules", None, ComputeFault("It did not help."), times=9)
    for _ in range(3):
        guard(context)
    assert [call for call, _ in school.compute.calls].count("renew_network_rules") == 1
    assert [note for note in notes if "It did not help." in note]
    assert [note for note in notes if "default" in note and "systemctl restart libvirtd" in note]
