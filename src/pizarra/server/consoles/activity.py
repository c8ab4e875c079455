"""Who uses a machine: the keys and the mouse that go through its console."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from pizarra.service import activity

_KEY, _POINTER, _CLIPBOARD = 4, 5, 6  # what a VNC client's message begins with


def record_activity(classroom: str, number: int, message: bytes) -> None:
    """Note a message from the browser, unless the message only asks for the picture."""
    if message[0] in (_KEY, _POINTER, _CLIPBOARD):
        activity.record_activity(_folder(), classroom, number)


def active_s_ago(classroom: str, number: int) -> int | None:
    """Seconds since somebody used a seat; None when nobody did."""
    return activity.active_s_ago(_folder(), classroom, number)


def _folder() -> Path:
    return Path(settings.PIZARRA.server_folder)
