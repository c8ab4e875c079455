"""cli: what commands take of the processor by themselves, without LVM's and libvirt's processes.

`pizarra --version` does nothing. `pizarra status` looks at all of the host, and then at a classroom
that is not there: all that Pizarra itself takes before it can say anything of a classroom.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence

from bench.series import Series, say

ROUNDS = 15
COMMANDS = {
    "cli.version": ("--version",),
    "cli.help": ("--help",),
    "cli.status": ("status", "no-such-room"),
}
LIMITS_MS = {"cli.version": 120.0, "cli.status": 250.0}  # of a machine that does nothing else
_OWN = """
import resource, sys
try:
    from pizarra.cli.main import run
    sys.argv[0] = "pizarra"
    run()
except SystemExit:
    pass
own = resource.getrusage(resource.RUSAGE_SELF)
sys.stderr.write(f"\\nown {own.ru_utime + own.ru_stime}")
"""
_BARE = "import resource, sys\n" + "\n".join(_OWN.splitlines()[-2:])


def measure() -> Iterator[Series]:
    """Milliseconds of processor, user and system, of one process; in turns with Python's own."""
    for name, argv in COMMANDS.items():
        say(f"{name}: {ROUNDS} rounds")
        ours, python = [], []
        for _ in range(ROUNDS):
            ours.append(_processor_ms(_OWN, argv))
            python.append(_processor_ms(_BARE, ()))
        notes = {"limit_ms": LIMITS_MS[name]} if name in LIMITS_MS else {}
        yield Series(
            name=name,
            n=1,
            ours_ms=ours,
            others_ms={"python": python},
            unit="commands",
            notes=notes,
        )


def _processor_ms(code: str, argv: Sequence[str]) -> float:
    """What one process took, without the processes that it started."""
    done = subprocess.run(
        [sys.executable, "-c", code, *argv], capture_output=True, text=True, check=True
    )
    return float(done.stderr.rpartition("own ")[2]) * 1000
