"""What a benchmark says: milliseconds a seat, ours, and those of each other way in the same run."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of the table: ours at one size, and the others'."""

    name: str
    n: int
    ours_ms: Sequence[float]  # per seat, one for each round
    others_ms: Mapping[str, Sequence[float]] = field(default_factory=dict)
    unit: str = "seats"  # what n counts
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def median_ms(self) -> float:
        """Ours, per seat."""
        return statistics.median(self.ours_ms)

    def ratio(self, other: str) -> float:
        """Theirs divided by ours."""
        return statistics.median(self.others_ms[other]) / self.median_ms

    def to_json(self) -> dict[str, Any]:
        """As scripts expect it."""
        return {
            "name": self.name,
            "n": self.n,
            "unit": self.unit,
            "per_seat_ms": {
                "min": round(min(self.ours_ms), 3),
                "median": round(self.median_ms, 3),
                "max": round(max(self.ours_ms), 3),
            },
            "versus": {
                other: {
                    "median": round(statistics.median(times), 3),
                    "ratio": round(self.ratio(other), 2),
                    "ours_times": round(1 / self.ratio(other), 2),
                    "rounds": len(times),
                }
                for other, times in self.others_ms.items()
            },
            "rounds": len(self.ours_ms),
            **self.notes,
        }


def timed_ms(act: Callable[[], object], seats: int = 1) -> float:
    """How long it takes, for each of so many seats."""
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000 / seats


def say(text: str) -> None:
    """Progress, for whoever waits."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
