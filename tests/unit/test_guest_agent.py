"""A guest's agent says what whoever has root in the guest wants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pizarra.compute.memory import MemoryCompute
from pizarra.engine.guest_agent import GuestAgent
from pizarra.errors import ComputeFault


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
