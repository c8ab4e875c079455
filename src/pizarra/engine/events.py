"""What the engine tells while it works; CLI and server turn it into words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pizarra.model.outcome import SeatOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """A piece of work with a known amount began: seats, or bytes."""

    what: str
    total: float
    unit: str = "seats"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advanced:
    """How far it is."""

    what: str
    done: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A seat has its outcome."""

    outcome: SeatOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Something that a person should know, as a template over facts, like an error."""

    text: str
    facts: dict[str, object]

    def __str__(self) -> str:
        return self.text.format(**self.facts)


Event = Began | Advanced | Settled | Noted
Emit = Callable[[Event], None]


def silent(event: Event) -> None:
    """For callers that want only the result."""
    _ = event
