"""Whose hands were on which machine lately: keys and the mouse that went through a console.

Known as long as this process lives, which is all that "in the last ten minutes" needs.
"""

from __future__ import annotations

import time

_KEY, _POINTER, _CLIPBOARD = 4, 5, 6  # what a VNC client's message begins with
_last: dict[tuple[str, int], float] = {}


def noted(classroom: str, number: int, message: bytes) -> None:
    """A message from the browser; one that only asks for the picture is no activity."""
    if message[0] in (_KEY, _POINTER, _CLIPBOARD):
        _last[classroom, number] = time.monotonic()


def active_s_ago(classroom: str, number: int) -> int | None:
    """None when nobody was since this process began."""
    then = _last.get((classroom, number))
    return None if then is None else int(time.monotonic() - then)
