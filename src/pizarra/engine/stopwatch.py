"""How long each step of each seat took, and how long a step was under way for anybody."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

_Interval = tuple[float, float]  # began and ended, in seconds of one clock


class Stopwatch:
    """Milliseconds by seat and step. Each thread writes the seats of its own batch."""

    def __init__(self) -> None:
        self._ms: dict[str, dict[str, float]] = defaultdict(dict)
        self._intervals: dict[str, list[_Interval]] = defaultdict(list)

    @contextmanager
    def timing(self, step: str, names: Iterable[str]) -> Iterator[None]:
        """Time the block as ``step`` of the seats ``names``, which share the time evenly."""
        names = list(names)
        began = time.perf_counter()
        try:
            yield
        finally:
            ended = time.perf_counter()
            self._intervals[step].append((began, ended))
            share_ms = (ended - began) * 1000 / max(1, len(names))
            for name in names:
                self._ms[name][step] = self._ms[name].get(step, 0.0) + share_ms

    def of(self, name: str) -> Mapping[str, float]:
        """The steps of one seat, in milliseconds."""
        return self._ms[name]

    def wall_ms(self, step: str) -> float:
        """How long ``step`` was under way for some seat. What overlaps counts once."""
        return union_s(self._intervals[step]) * 1000


def union_s(intervals: Iterable[_Interval]) -> float:
    """The length of the union of ``intervals``, in seconds."""
    total_s, covered_until = 0.0, float("-inf")
    for began, ended in sorted(intervals):
        total_s += max(0.0, ended - max(began, covered_until))
        covered_until = max(covered_until, ended)
    return total_s
