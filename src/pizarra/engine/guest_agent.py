"""Programs run inside a guest, through its QEMU agent.

Whoever has root in the guest chooses what the agent answers: nothing in an answer is trusted.
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import Base64Bytes, BaseModel, Field, ValidationError

from pizarra.compute.interface import Compute
from pizarra.errors import ComputeFault

_LOOK_EVERY_S = 0.5
_CALL_S = 60.0  # of one question: a guest that boots at the same time is slow
Answer = TypeVar("Answer", bound=BaseModel)


class _System(BaseModel):
    id: str = ""


class _Started(BaseModel):
    pid: int


class _Status(BaseModel):
    """guest-exec-status: qemu-ga-ref(7)."""

    exited: bool
    exitcode: int = 1  # none for a program that a signal ended
    out: Base64Bytes = Field(b"", alias="out-data")
    err: Base64Bytes = Field(b"", alias="err-data")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestAgent:
    """The agent of one machine, by its UUID. Errors: ComputeFault."""

    compute: Compute
    machine: str
    limit_s: float = 300.0  # of one program

    def answers(self) -> bool:
        """Whether it is there now."""
        return self.compute.agent_answers(self.machine)

    def system(self) -> str:
        """``debian``, ``mswindows``; empty when the agent does not know."""
        try:
            return self._ask("guest-get-osinfo", {}, _System).id
        except ComputeFault:
            return ""

    def shell(self, script: str) -> tuple[int, str]:
        """A script for /bin/sh as root: its status, and what it printed."""
        text = base64.b64encode(script.encode()).decode()
        wish = {"path": "/bin/sh", "arg": ["-s"], "input-data": text, "capture-output": True}
        pid = self._ask("guest-exec", wish, _Started).pid
        deadline = time.monotonic() + self.limit_s
        while not (told := self._ask("guest-exec-status", {"pid": pid}, _Status)).exited:
            if time.monotonic() > deadline:
                raise ComputeFault("a program in the guest has not ended in {s} s", s=self.limit_s)
            time.sleep(_LOOK_EVERY_S)
        return told.exitcode, (told.out + told.err).decode(errors="replace")

    def _ask(self, command: str, arguments: dict[str, Any], form: type[Answer]) -> Answer:
        wish = {"execute": command, "arguments": arguments}
        answer = self.compute.agent(self.machine, wish, _CALL_S)
        try:
            return form.model_validate(answer.get("return"))
        except ValidationError as error:
            first = error.errors()[0]
            raise ComputeFault(
                "the agent in the guest answers {command} with what nobody understands: {where}"
                " {why}",
                command=command,
                where="/".join(map(str, first["loc"])),
                why=first["msg"],
            ) from None
