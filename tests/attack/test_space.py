"""Students who want to fill the pool of the host, and know when the guard looks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pizarra.errors import NoSpace
from pizarra.model.outcome import Mode
from pizarra.model.policy import After, ResetBy
from pizarra.service import checkpoints, maintenance, upgrade, verbs
from tests.unit.conftest import own_state as own_state
from tests.unit.test_guard import Lesson


@pytest.fixture
def lesson(tmp_path: Path) -> Lesson:
    return Lesson(tmp_path)


@pytest.mark.parametrize("claims", [(["seat:net-02"], ["classroom:net"]), (["classroom:net"], [])])
def test_writer_when_a_command_works_on_the_seat_all_the_time_then_is_paused_all_the_same(
    lesson: Lesson, claims: tuple[list[str], list[str]]
) -> None:
    """A student asks for one thing after another; a teacher verifies a class for an hour."""
    names, shared = claims
    lesson.write(2, 40)
    with lesson.context.claim(names, "verify", shared=shared):
        told = lesson.guard(free_share=0.4)
    assert lesson.powers()[1] == "paused", told
    assert "nearly full" in lesson.reasons()[1]


@pytest.mark.parametrize("mode", [Mode.COLD, Mode.HOT])
def test_writer_when_a_student_resets_the_paused_machine_then_it_does_not_go_on_without_room(
    lesson: Lesson, mode: Mode
) -> None:
    lesson.write(2, 40)
    lesson.guard(free_share=0.4)
    assert lesson.powers()[1] == "paused"
    student = replace(lesson.context, by=ResetBy.STUDENTS)
    with pytest.raises(NoSpace):
        verbs.reset(student, "net", [2], mode=mode, after=After.RUNNING)
    assert lesson.powers()[1] == "paused"
    lesson.school.storage.disks.size_bytes *= 10
    assert verbs.reset(student, "net", [2], mode=mode, after=After.RUNNING).exit_status == 0
    assert lesson.powers()[1] == "running"


def test_writer_when_a_student_restores_a_checkpoint_then_the_paused_machine_does_not_go_on(
    lesson: Lesson,
) -> None:
    student = replace(lesson.context, by=ResetBy.STUDENTS)
    assert checkpoints.save(student, "net", "own-1", [2]).exit_status == 0
    lesson.write(2, 40)
    lesson.guard(free_share=0.4)
    assert lesson.powers()[1] == "paused"
    with pytest.raises(NoSpace):
        checkpoints.restore(student, "net", "own-1", [2])
    assert lesson.powers()[1] == "paused"


def test_writer_when_its_class_goes_to_another_version_at_the_next_reset_then_is_paused(
    lesson: Lesson,
) -> None:
    """Until then its disk stands on another original than its label names."""
    context = lesson.context
    maintenance.begin(context, "t")
    maintenance.publish(context, "t")
    assert upgrade.upgrade(context, "net").exit_status == 0
    lesson.write(4, 60)
    assert lesson.guard(free_share=0.9) == []
    lesson.a_minute_passes()
    lesson.write(2, 40)
    told = lesson.guard(free_share=0.4)
    assert lesson.powers() == ["running", "paused", "running", "running", "running"], told
