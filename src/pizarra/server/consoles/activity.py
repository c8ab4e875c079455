"""Who uses a machine: the keys and the mouse that go through its console."""

from __future__ import annotations

import time

_KEY, _POINTER, _CLIPBOARD = 4, 5, 6  # what a VNC client's message begins with
_AGAIN_S = 5.0


class Activity:
    """What a console notes of its user, at most every few seconds."""

    def __init__(self) -> None:
        self._then = -_AGAIN_S

    def is_due(self, message: bytes) -> bool:
        """Whether to note a message from the browser. Asking for the picture is no activity."""
        now = time.monotonic()
        if message[0] not in (_KEY, _POINTER, _CLIPBOARD) or now - self._then < _AGAIN_S:
            return False
        self._then = now
        return True
