"""What the memory driver has beside the interface: faults, guests that do not hear, others."""

from __future__ import annotations

from pathlib import Path

import pytest

from pizarra.compute.memory import MemoryCompute
from pizarra.errors import ComputeFault
from pizarra.model.facts import Power
from tests.contract.compute_bench import FOREIGN, Classroom, power_of

FAULT = ComputeFault("told to")


@pytest.fixture
def classroom(tmp_path: Path) -> Classroom:
    return Classroom(folder=tmp_path)


@pytest.fixture
def compute(classroom: Classroom) -> MemoryCompute:
    """Two seats, off."""
    made = MemoryCompute()
    for number in (1, 2):
        made.define(classroom.seat(number))
    return made


def test_fail_at_when_told_of_one_machine_then_only_its_next_call_fails(
    compute: MemoryCompute, classroom: Classroom
) -> None:
    first, second = classroom.seat(1).uuid, classroom.seat(2).uuid
    compute.fail_at("start", second, FAULT)
    compute.start(first)
    with pytest.raises(ComputeFault, match="told to"):
        compute.start(second)
    assert power_of(compute, second) == Power.OFF
    compute.start(second)
    assert power_of(compute, second) == Power.RUNNING


def test_fail_at_when_told_several_times_then_as_often(
    compute: MemoryCompute, classroom: Classroom
) -> None:
    compute.fail_at("kill", None, FAULT, times=2)
    for number in (1, 2):
        with pytest.raises(ComputeFault):
            compute.kill(classroom.seat(number).uuid)
    compute.kill(classroom.seat().uuid)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_fail_at_step_when_told_then_that_call_fails_whatever_it_is(
    compute: MemoryCompute, classroom: Classroom, step: int
) -> None:
    compute.fail_at_step(step, FAULT)
    failed = []
    for call in (compute.start, compute.pause, compute.kill):
        try:
            call(classroom.seat().uuid)
        except ComputeFault as fault:
            failed.append((call.__name__, fault is FAULT))
    name = ("start", "pause", "kill")[step - 1]
    assert (name, True) in failed


def test_ask_to_stop_when_the_guest_is_deaf_then_it_runs_on(
    compute: MemoryCompute, classroom: Classroom
) -> None:
    seat = classroom.seat().uuid
    compute.deaf.add(seat)
    compute.start(seat)
    compute.ask_to_stop(seat)
    assert power_of(compute, seat) == Power.RUNNING


def test_happen_when_a_guest_crashes_then_it_is_seen_and_can_start(
    compute: MemoryCompute, classroom: Classroom
) -> None:
    seat = classroom.seat().uuid
    compute.happen(seat, Power.CRASHED)
    assert power_of(compute, seat) == Power.CRASHED
    compute.start(seat)
    assert power_of(compute, seat) == Power.RUNNING


def test_put_when_somebody_else_runs_a_machine_then_it_is_seen(compute: MemoryCompute) -> None:
    compute.put(FOREIGN.format(name="theirs", uuid="u-1"), Power.RUNNING)
    found = compute.find("theirs")
    assert found is not None
    assert found.power is Power.RUNNING


def test_calls_when_made_then_noted_in_order(compute: MemoryCompute, classroom: Classroom) -> None:
    compute.calls.clear()
    seat = classroom.seat().uuid
    compute.start(seat)
    compute.kill(seat)
    assert compute.calls == [("start", seat), ("kill", seat)]
