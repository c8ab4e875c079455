"""When a pool is full, if it goes on as in the last hour. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

WINDOW_S = 3600.0
_LEAST_S = 600.0  # a shorter time says nothing
_PARTS = 4  # of the time: what grew in one of them only, as an import does, does not go on


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How full it was at one moment."""

    at: float
    used_bytes: int


def full_in_s(samples: Sequence[Sample], free_bytes: int) -> float | None:
    """None when it does not grow, or nobody can know: a pool that is young, or that an import or a
    volume of somebody else filled in one go."""
    if not samples:
        return None
    last = samples[-1]
    lately = [one for one in samples if one.at >= last.at - WINDOW_S]
    # what was freed meanwhile (a reset, an undo dropped) is no growth: from the lowest point on
    first = min(lately, key=lambda one: (one.used_bytes, one.at))
    if last.at - first.at < _LEAST_S:
        return None
    part_s = (last.at - first.at) / _PARTS
    levels = [_level(lately, first.at + number * part_s) for number in range(_PARTS + 1)]
    grew = sorted(after - before for before, after in pairwise(levels))[:-1]
    if grew[1] <= 0 or sum(grew) <= 0:
        return None
    return free_bytes * len(grew) * part_s / sum(grew)


def _level(samples: Sequence[Sample], at: float) -> float:
    """Bytes used at a moment between the first sample and the last one."""
    for before, after in pairwise(samples):
        if before.at <= at <= after.at and before.at < after.at:
            share = (at - before.at) / (after.at - before.at)
            return before.used_bytes + share * (after.used_bytes - before.used_bytes)
    return samples[-1].used_bytes
