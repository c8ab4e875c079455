"""Streams that go on after they were let in: consoles, and the events of a job.

A stream looks again every few seconds whether whoever opened it is still signed in and may still
see what it shows. A change in this process (somebody signs out, an account, a teacher or a seat
changes, a reset begins) makes all of them look at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.http import HttpRequest
from django.utils import timezone

from pizarra.errors import TooManyStreams
from pizarra.server.people.models import ApiToken, User
from pizarra.server.rooms.models import Room, SeatAssignment

LOOK_EVERY_S = 2.0
_OPEN_MOST = 8  # streams of one person: a browser opens six connections
_WATCHED = (User, ApiToken, Session, Room, SeatAssignment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What somebody was let in by: the session of a browser, or the token of a program."""

    session_key: str = ""
    token_id: int | None = None

    def user(self) -> User | None:
        """Whose it is, as long as it counts: not after signing out, nor of an account that was
        switched off or got another password."""
        if self.token_id is not None:
            token = ApiToken.objects.select_related("user").filter(pk=self.token_id).first()
            return token.user if token and token.is_good(timezone.now()) else None
        request = HttpRequest()
        store = import_module(settings.SESSION_ENGINE).SessionStore
        request.session = store(self.session_key or None)
        user = get_user(request)
        return user if isinstance(user, User) and user.is_active else None


class Look:
    """When one stream has to look again."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()

    def at_once(self) -> None:
        """From any thread."""
        with suppress(RuntimeError):  # its loop has ended, and the stream with it
            self._loop.call_soon_threadsafe(self._changed.set)

    async def next(self, most_s: float = LOOK_EVERY_S) -> bool:
        """Wait for a change, ``most_s`` seconds at most. Whether there was one."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), most_s)
        found = self._changed.is_set()
        self._changed.clear()
        return found


_lock = threading.Lock()
_looks: dict[Look, object] = {}  # and whose each is


def check_few(whose: object) -> None:
    """Raises TooManyStreams when nobody may open another one for the same."""
    if [*_looks.values()].count(whose) >= _OPEN_MOST:
        raise TooManyStreams(
            "{n} pages show the same already.", "Close one that you do not need.", n=_OPEN_MOST
        )


@contextmanager
def looking(whose: object) -> Iterator[Look]:
    """For one stream, in the thread of its loop. The streams for the same person, or for the same
    person and seat, have a limit. Raises TooManyStreams."""
    look = Look()
    with _lock:
        check_few(whose)
        _looks[look] = whose
    try:
        yield look
    finally:
        with _lock:
            del _looks[look]


def look_again() -> None:
    """All streams look at once."""
    with _lock:
        looks = list(_looks)
    for look in looks:
        look.at_once()


def _after_commit(**_signal: Any) -> None:
    transaction.on_commit(look_again)


def watch_changes() -> None:
    """Of what lets somebody in; once in a process."""
    for model in _WATCHED:
        for signal in (post_save, post_delete):
            signal.connect(_after_commit, sender=model, dispatch_uid=f"streams-{model.__name__}")
    for people in (Room.teachers.through, Room.students.through):
        m2m_changed.connect(_after_commit, sender=people, dispatch_uid="streams")
