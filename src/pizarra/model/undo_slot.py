"""Where the content that a reset takes away is saved: a volume has two places for it.

One slot holds what can be undone. The other slot is free, and the next operation writes there.
"""

from __future__ import annotations

from enum import StrEnum


class UndoSlot(StrEnum):
    """One of the two places of a volume."""

    A = "a"
    B = "b"

    @property
    def other(self) -> UndoSlot:
        """The other place."""
        return UndoSlot.B if self is UndoSlot.A else UndoSlot.A
