"""``make demo``: makes a classroom of six, lets every student change their disk, resets and proves.

Everything is real: LVM, libvirt, QEMU, and guests that boot and write.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from demo import recipe_2014
from pizarra.cli.output import seat_line
from pizarra.errors import CommandFailed
from pizarra.model.outcome import Outcome, SeatOutcome
from pizarra.model.sizes import MIB, size_text
from pizarra.system.process import Completed, failure_of, run

SEATS = 6
IMAGE = "build/guests/bootsector.img"
WRITTEN_WITHIN_S = 120


def say(text: str = "") -> None:
    """Print a line of the story."""
    print(text, flush=True)


def heading(number: int, text: str) -> None:
    """Print the heading of a step."""
    say(f"\n\033[1m{number}. {text}\033[0m" if sys.stdout.isatty() else f"\n{number}. {text}")


def pizarra(*words: str) -> str:
    """Run a command as a technician would; print the command and its output."""
    say(f"   $ pizarra {' '.join(words)}")
    done = _run(words)
    for line in (done.stderr + done.stdout).splitlines():
        say(f"     {line}")
    return done.stdout


def run_with_json(*words: str) -> Any:
    """Run a command with ``--json`` and print a line for each seat. Exit status 1 is no error."""
    say(f"   $ pizarra {' '.join(words)}")
    document = json.loads(_run((*words, "--json")).stdout)
    for seat in document["seats"]:
        outcome = SeatOutcome(
            seat=seat["seat"],
            outcome=Outcome(seat["outcome"]),
            reason=seat["reason"],
            timings_ms=seat["timings_ms"],
        )
        say(f"     {seat_line(outcome)}")
    return document


def _run(words: tuple[str, ...]) -> Completed:
    done = run([sys.executable, "-m", "pizarra", *words], timeout_s=600, check=False)
    if done.returncode not in (0, 1):
        raise failure_of(done)
    return done


def changed_bytes() -> dict[str, int]:
    """Name of seat -> bytes of its disk that differ from the original."""
    document = json.loads(_run(("status", "net", "--json")).stdout)
    return {seat["seat"]: int(seat["changed_bytes"] or 0) for seat in document["seats"]}


def wait_until_all_have_written() -> dict[str, int]:
    """Wait until every guest has booted and written. Raises CommandFailed at the limit."""
    deadline = time.monotonic() + WRITTEN_WITHIN_S
    while time.monotonic() < deadline:
        changed = changed_bytes()
        if all(changed.values()):
            return changed
    raise CommandFailed("The guests wrote nothing within {limit} s.", limit=WRITTEN_WITHIN_S)


def main() -> None:
    """Run the story. The last line is JSON for programs."""
    say("Pizarra: a class of six virtual machines, put back to its original state.")
    heading(1, "The golden machine: imported onto LVM once, read-only from then on.")
    pizarra("template", "import", "debian", IMAGE, "--vg", "vg_class")
    heading(2, "The classroom: six machines whose disks are snapshots of it. Nothing is copied.")
    size = ("--memory", "32M", "--vcpus", "1")
    pizarra("classroom", "create", "net", "--template", "debian", "--seats", str(SEATS), *size)
    heading(3, "The lesson: the machines boot, and every one of them writes to its disk.")
    pizarra("start", "net")
    changed = wait_until_all_have_written()
    for seat, count in changed.items():
        say(f"     {seat}: {size_text(count)} differ from the original")
    dirty = sum(count > 0 for count in changed.values())
    heading(4, "The bell. One act puts all of them back.")
    reset = run_with_json("reset", "net", "--off")
    disks_ms, total_ms = float(reset["disks_ms"]), 1000 * float(reset["elapsed_s"])
    say(f"     all six disks in {disks_ms:.0f} ms; with switching off and proof {total_ms:.0f} ms")
    heading(5, "Is it true? First by LVM's metadata (thin_delta), then by reading all of the data.")
    by_metadata = run_with_json("verify", "net")
    by_data = run_with_json("verify", "net", "--deep")
    original = count_proven(by_metadata, by_data)
    heading(6, "For comparison: one machine put back the way of the 2014 recipe.")
    say("     (its own volume, a classic snapshot; merge the snapshot, then make it again)")
    recipe_ms = recipe_2014.measure("vg_class", 64 * MIB, max(changed.values()))
    say(f"     {recipe_ms:.0f} ms for one; Pizarra took {disks_ms / SEATS:.0f} ms for each of six")
    say(f"\n{original} of {SEATS} machines are original again, and proven so.")
    figures = {
        "seats": SEATS,
        "dirty_before": dirty,
        "original_after": original,
        "reset_disks_ms": round(disks_ms, 1),
        "reset_total_ms": round(total_ms, 1),
        "recipe_2014_ms_per_seat": round(recipe_ms, 1),
    }
    say(json.dumps(figures))
    sys.exit(0 if dirty == original == SEATS else 1)


def count_proven(by_metadata: Any, by_data: Any) -> int:
    """How many seats both proofs call original. Prints the checksums."""
    sums = {seat["seat"]: seat.get("sha256") for seat in by_data["seats"] if seat["verified"]}
    for seat, digest in sums.items():
        say(f"     {seat}: sha256 {str(digest)[:16]}…, the same as the original's")
    return sum(seat["verified"] is True and seat["seat"] in sums for seat in by_metadata["seats"])


main()
