"""A guest's agent says what whoever has root in the guest wants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pizarra.compute.guest_words import parse_answer
from pizarra.compute.memory import MemoryCompute
from pizarra.engine.guest_agent import GuestAgent
from pizarra.errors import ComputeFault
from pizarra.model.foreign_json import parse_foreign_json
from pizarra.planner.identity import cloud_init_failure


class Guest(MemoryCompute):
    """A machine whose agent gives these answers."""

    def __init__(self, **answers: object) -> None:
        super().__init__()
        self.says = answers

    def agent(self, uuid: str, command: Mapping[str, Any], timeout_s: float = 5) -> dict[str, Any]:
        _ = uuid, timeout_s
        return {"return": self.says[command["execute"].replace("-", "_")]}


def agent(**answers: object) -> GuestAgent:
    return GuestAgent(compute=Guest(**answers), machine="m")


@pytest.mark.parametrize("started", [{}, [], None, "7", {"pid": "x"}, {"pid": None}])
def test_shell_when_the_guest_says_nothing_of_a_process_then_it_is_a_fault(started: object) -> None:
    with pytest.raises(ComputeFault, match="guest-exec"):
        agent(guest_exec=started).shell("true")


@pytest.mark.parametrize(
    "status", [{}, [], {"exited": "perhaps"}, {"exited": True, "out-data": "abc"},
               {"exited": True, "exitcode": [1]}],
)  # fmt: skip
def test_shell_when_the_guest_lies_of_its_end_then_it_is_a_fault(status: object) -> None:
    with pytest.raises(ComputeFault, match="guest-exec-status"):
        agent(guest_exec={"pid": 7}, guest_exec_status=status).shell("true")


def test_shell_when_a_program_ended_then_its_status_and_words() -> None:
    told = {"exited": True, "exitcode": 3, "out-data": "w7E=", "err-data": "/w=="}
    assert agent(guest_exec={"pid": 7}, guest_exec_status=told).shell("x") == (3, "\u00f1\ufffd")


@pytest.mark.parametrize("told", [[], None, {"id": 7}, "debian"])
def test_system_when_the_guest_answers_something_else_then_it_is_unknown(told: object) -> None:
    assert agent(guest_get_osinfo=told).system() == ""


@pytest.mark.parametrize(
    "result",
    ["[" * 200_000, '{"v1": ' * 100_000, "[]", "{}", '{"v1": {"errors": 7}}', "\0", "1" * 9999],
)
def test_result_of_cloud_init_when_a_guest_wrote_nonsense_then_it_is_a_fault_of_that_seat(
    result: str,
) -> None:
    assert "cannot be read" in str(cloud_init_failure(result))


@pytest.mark.parametrize("text", ["[" * 200_000, "{", "", "1" * 9999, "NaN,"])
def test_json_when_a_guest_wrote_it_then_only_one_error_comes_of_it(text: str) -> None:
    with pytest.raises(ValueError):
        parse_foreign_json(text)


@pytest.mark.parametrize("text", ["[" * 200_000, "[]", "7", "null", "", "{"])
def test_answer_when_it_is_no_object_then_it_is_a_fault_of_that_machine(text: str) -> None:
    with pytest.raises(ComputeFault, match="no answer"):
        parse_answer(text)
