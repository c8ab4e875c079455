"""One connection of HTTP. It ends when its visitor owes us something for too long.

uvicorn limits the size of the headers, and the time between two requests. It has no limit for the
time of the headers, for a visitor who does not say anything, and for one who does not read.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_LOOK_EVERY_S = 2.0
HEADERS_S = 10.0
READING_S = 60.0  # for 48 KiB of an answer


class Connection(H11Protocol):
    """Looks at itself every few seconds."""

    _look: asyncio.TimerHandle | None = None
    _owed: object = None
    _since = 0.0
    _drains = 0  # how often the visitor has read enough for us to go on

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to look."""
        super().connection_made(transport)
        self._look_at_it()

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more."""
        if self._look:
            self._look.cancel()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        """Count it: the visitor reads."""
        self._drains += 1
        super().resume_writing()

    def _look_at_it(self) -> None:
        if self.transport.is_closing():
            return  # by TLS, which has no protocol then
        if self.transport.get_protocol() is not self:
            return  # it is a web socket now, which has pings
        now, (owed, patience_s) = self.loop.time(), self._debt()
        if owed != self._owed:
            self._owed, self._since = owed, now
        elif owed is not None and now - self._since >= patience_s:
            self.transport.abort()
            return
        self._look = self.loop.call_later(_LOOK_EVERY_S, self._look_at_it)

    def _debt(self) -> tuple[object, float]:
        """What the visitor owes us, another value after each progress, and for how long at most.

        The body of a request is looked after where it is read (``gate.requests``).
        """
        if self.transport.get_write_buffer_size():
            return ("reading", self._drains, self.cycle), READING_S
        if self.conn.their_state is h11.IDLE:
            return ("headers", self.cycle), HEADERS_S
        return None, 0.0
