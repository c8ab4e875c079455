"""When a pool is full, if it goes on as in the last hour. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WINDOW_S = 3600.0
_LEAST_S = 120.0  # a shorter time says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How full it was at one moment."""

    at: float
    used_bytes: int


def full_in_s(samples: Sequence[Sample], free_bytes: int) -> float | None:
    """None when it does not grow, or nobody can know."""
    if not samples:
        return None
    last = samples[-1]
    lately = [one for one in samples if one.at >= last.at - WINDOW_S]
    # what was freed meanwhile (a reset, an undo dropped) is no growth: from the lowest point on
    first = min(lately, key=lambda one: (one.used_bytes, one.at))
    took_s, grew = last.at - first.at, last.used_bytes - first.used_bytes
    if took_s < _LEAST_S or grew <= 0:
        return None
    return free_bytes * took_s / grew
