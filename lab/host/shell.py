"""Commands on a running host, by SSH through QEMU's user network."""

import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

# The host is this process's own and lives for minutes: nobody else can stand at its address
_OPTIONS = (
    *(
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "LogLevel=ERROR",
    ),
    *("-o", "ServerAliveInterval=30", "-o", "ServerAliveCountMax=20", "-o", "BatchMode=yes"),
    *("-o", "ControlMaster=auto", "-o", "ControlPersist=300"),
)
SSH_BROKE = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """A root shell of one host. `socket` is the path that its commands share one connection by."""

    address: str
    port: int
    key: Path
    socket: Path

    def call(self, command: str, timeout_s: float | None = None) -> int:
        """Run `command` with bash, its output on ours; its exit status, 255 when SSH fails."""
        argv = self._argv(command)
        return subprocess.run(
            argv, stdin=subprocess.DEVNULL, timeout=timeout_s, check=False
        ).returncode

    def run(
        self, command: str, timeout_s: float | None = None, send: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """The same with its output kept; `send` is what it reads."""
        return subprocess.run(
            self._argv(command),
            input=send or b"",
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )

    def forget(self) -> None:
        """End the shared connection, which a host that went away would leave hanging."""
        argv = ["ssh", *self._options(), "-O", "exit", f"root@{self.address}"]
        subprocess.run(argv, capture_output=True, check=False)

    def _argv(self, command: str) -> list[str]:
        remote = f"exec bash -lc {shlex.quote(command)}"
        return ["ssh", *self._options(), f"root@{self.address}", remote]

    def _options(self) -> list[str]:
        where = ["-p", str(self.port), "-i", str(self.key), "-o", f"ControlPath={self.socket}"]
        return [*_OPTIONS, *where]
