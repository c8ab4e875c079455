"""What became of each seat. Thirty seats give thirty outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pizarra.model.names import seat_name
from pizarra.model.sentence import N_


class Outcome(StrEnum):
    """The five words that a verb may say of a seat."""

    DONE = N_("done")
    UNCHANGED = N_("unchanged")
    SKIPPED = N_("skipped")
    FAILED = N_("failed")
    UNKNOWN = N_("unknown")


WELL = frozenset({Outcome.DONE, Outcome.UNCHANGED})


class Mode(StrEnum):
    """How a reset treats the machine's RAM."""

    COLD = "cold"
    HOT = "hot"
    WARM = "warm"  # a machine that has booted: the RAM of the warm baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatOutcome:
    """One seat after one verb. ``verified`` is None where the verb proves nothing."""

    seat: str
    outcome: Outcome
    reason: str | None = None
    verified: bool | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The contract's form; ``extra`` adds keys and never replaces one."""
        return {
            **self.extra,
            "seat": self.seat,
            "outcome": str(self.outcome),
            "reason": self.reason,
            "verified": self.verified,
            "timings_ms": {step: round(ms, 1) for step, ms in self.timings_ms.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A verb over the seats of one classroom."""

    classroom: str
    verb: str
    mode: str | None
    elapsed_s: float
    seats: tuple[SeatOutcome, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exit_status(self) -> int:
        """0 when every seat is done or unchanged, else 1."""
        return 0 if all(seat.outcome in WELL for seat in self.seats) else 1

    def count(self, *outcomes: Outcome) -> int:
        """How many seats ended so."""
        return sum(seat.outcome in outcomes for seat in self.seats)

    def to_json(self) -> dict[str, Any]:
        """The contract's document."""
        return {
            **self.extra,
            "classroom": self.classroom,
            "verb": self.verb,
            "mode": self.mode,
            "elapsed_s": round(self.elapsed_s, 3),
            "seats": [seat.to_json() for seat in self.seats],
        }


def outcomes_for(
    classroom: str, numbers: Iterable[int], outcome: Outcome, reason: str
) -> tuple[SeatOutcome, ...]:
    """The same outcome for several seats."""
    return tuple(
        SeatOutcome(seat=seat_name(classroom, number), outcome=outcome, reason=reason)
        for number in numbers
    )
