"""The pictures of screens: one of each machine, for all who look at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from pizarra.errors import ComputeFault

_FRESH_S = 2.0  # a wall asks each 3 s
_AT_ONCE = 2  # each takes memory and a processor for a moment


class Pictures:
    """Draws a machine's screen, unless a picture of a moment ago is there, or its error."""

    def __init__(self, draw: Callable[[str], bytes]) -> None:
        self._draw = draw
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._known: dict[str, tuple[float, bytes | ComputeFault]] = {}

    def of(self, uuid: str) -> bytes:
        """A PNG. Raises ComputeFault."""
        found = self._fresh(uuid)
        if found is None:
            with self._turns:
                # it may have been drawn for somebody else while we waited
                found = self._fresh(uuid) or self._draw_now(uuid)
        if isinstance(found, ComputeFault):
            raise found
        return found

    def _draw_now(self, uuid: str) -> bytes | ComputeFault:
        found: bytes | ComputeFault
        try:
            found = self._draw(uuid)
        except ComputeFault as fault:
            found = fault
        now = time.monotonic()
        for old in [one for one, (then, _) in list(self._known.items()) if now - then > _FRESH_S]:
            self._known.pop(old, None)
        self._known[uuid] = (now, found)
        return found

    def _fresh(self, uuid: str) -> bytes | ComputeFault | None:
        then, found = self._known.get(uuid, (-_FRESH_S, None))
        return found if time.monotonic() - then < _FRESH_S else None
