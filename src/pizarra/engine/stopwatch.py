"""How long each step of each seat took, in milliseconds."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager


class Stopwatch:
    """Per name and step. Threads each write their own names."""

    def __init__(self) -> None:
        self._ms: dict[str, dict[str, float]] = defaultdict(dict)

    @contextmanager
    def timing(self, step: str, names: Iterable[str]) -> Iterator[None]:
        """The time of a batch is shared out evenly among its names."""
        names = list(names)
        began = time.perf_counter()
        try:
            yield
        finally:
            share_ms = (time.perf_counter() - began) * 1000 / max(1, len(names))
            for name in names:
                self._ms[name][step] = self._ms[name].get(step, 0.0) + share_ms

    def of(self, name: str) -> Mapping[str, float]:
        """The steps of one name."""
        return self._ms[name]
