"""disks.thin.profile: where the time of a rewind goes, read from the flight record.

Sixteen seats are rewound, as many as a reset rewinds at a time. `no_udev` is the same while udev's
queue is stopped: the difference is what udev costs at that moment.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from datetime import time as time_of_day
from itertools import pairwise

from bench.disks import VG, Rewinder, dirty_all, prove_original, seats_on, wait_for_udev
from bench.series import Series, say
from pizarra.model.sizes import MIB
from pizarra.storage.dm_thin.store import DmThinStore
from pizarra.system.flight import FLIGHT
from pizarra.system.process import run

SEATS, DIRTY_BYTES, SIZE_BYTES = 16, 16 * MIB, 64 * MIB
ROUNDS = 6
PHASES = ("before", "to_error", "messages", "back", "self")
Phases = dict[str, float]


def measure() -> Iterator[Series]:
    """With udev and without it, in turns; a round without a clock first."""
    storage = DmThinStore(VG)
    found: dict[str, list[Phases]] = {"disks.thin.profile": [], "disks.thin.profile.no_udev": []}
    with seats_on(storage, SEATS, SIZE_BYTES) as pairs:
        rewinder = Rewinder(storage, pairs)
        for number in range(ROUNDS + 1):
            say(f"disks.thin.profile: round {number} of {ROUNDS}")
            for name, rounds in found.items():
                dirty_all(pairs, DIRTY_BYTES)
                wait_for_udev()
                if name.endswith("no_udev"):
                    with _stopped_udev():
                        phases = _profile(rewinder, len(pairs))
                else:
                    phases = _profile(rewinder, len(pairs))
                prove_original(storage, pairs)
                rewinder.reclaim_space()
                if number:
                    rounds.append(phases)
    for name, rounds in found.items():
        medians = {
            phase: round(statistics.median(one[phase] for one in rounds), 2) for phase in PHASES
        }
        total = [sum(one.values()) - one["self"] for one in rounds]
        yield Series(name=name, n=SEATS, ours_ms=total, notes={"phases_ms": medians})


@contextmanager
def _stopped_udev() -> Iterator[None]:
    """udev takes events and does nothing about them until the block ends."""
    run(["udevadm", "control", "--stop-exec-queue"])
    try:
        yield
    finally:
        run(["udevadm", "control", "--start-exec-queue"])


def _profile(rewinder: Rewinder, seats: int) -> Phases:
    """Milliseconds a seat of each phase; ``self`` is the processor time of this process."""
    FLIGHT.clear()
    began, own_began = time.time(), time.process_time()
    rewinder.rewind()
    own_ms, ended = (time.process_time() - own_began) * 1000, time.time()
    assert len(FLIGHT) < (FLIGHT.maxlen or 0), "the first steps have left the flight record"
    phases = phases_ms(began, ended, list(FLIGHT)) | {"self": own_ms}
    return {phase: phases[phase] / seats for phase in PHASES}


def phases_ms(began: float, ended: float, flight: Sequence[str]) -> Phases:
    """How long each phase took, by the lines of the flight record; times are of the Unix epoch.

    The first load of an ``error`` table begins the swaps to it, the next message the messages, and
    the next load of a ``thin`` table the swaps back.
    """
    wanted = [("TABLE_LOAD", " error"), ("TARGET_MSG", ""), ("TABLE_LOAD", " thin ")]
    starts: list[float] = []
    for line in flight:
        if len(starts) == len(wanted):
            break
        call, text = wanted[len(starts)]
        if call in line and text in line:
            starts.append(_seconds(line, began))
    edges = [began, *starts, ended]
    names = ("before", "to_error", "messages", "back")
    return {
        name: (later - earlier) * 1000
        for name, (earlier, later) in zip(names, pairwise(edges), strict=True)
    }


def _seconds(line: str, began: float) -> float:
    """The time of a line, which says the time of day in UTC; ``began`` was not long before."""
    said = time_of_day.fromisoformat(line.split()[0])
    day = datetime.fromtimestamp(began, UTC)
    since = said.hour * 3600 + said.minute * 60 + said.second + said.microsecond / 1e6
    start = day.hour * 3600 + day.minute * 60 + day.second + day.microsecond / 1e6
    return began + (since - start) % 86400
