"""Programs run inside a guest, through its QEMU agent."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import Any

from pizarra.compute.interface import Compute
from pizarra.errors import ComputeFault

_LOOK_EVERY_S = 0.5
_CALL_S = 60.0  # of one question: a guest that boots at the same time is slow


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
            return str(self._ask("guest-get-osinfo", {}).get("id", ""))
        except ComputeFault:
            return ""

    def shell(self, script: str) -> tuple[int, str]:
        """A script for /bin/sh as root: its status, and what it printed."""
        text = base64.b64encode(script.encode()).decode()
        wish = {"path": "/bin/sh", "arg": ["-s"], "input-data": text, "capture-output": True}
        pid = self._ask("guest-exec", wish)["pid"]
        deadline = time.monotonic() + self.limit_s
        while not (told := self._ask("guest-exec-status", {"pid": pid}))["exited"]:
            if time.monotonic() > deadline:
                raise ComputeFault("a program in the guest has not ended in {s} s", s=self.limit_s)
            time.sleep(_LOOK_EVERY_S)
        parts = (told.get(key, "") for key in ("out-data", "err-data"))
        said = "".join(base64.b64decode(part).decode(errors="replace") for part in parts)
        return int(told.get("exitcode", 1)), said

    def _ask(self, command: str, arguments: dict[str, Any]) -> Any:
        wish = {"execute": command, "arguments": arguments}
        return self.compute.agent(self.machine, wish, _CALL_S)["return"]
