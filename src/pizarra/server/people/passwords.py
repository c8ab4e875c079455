"""Checks of passwords take turns: each takes 100 MiB for a tenth of a second (Argon2)."""

from __future__ import annotations

import threading

from django.contrib.auth.hashers import Argon2PasswordHasher

AT_ONCE = 3  # the gate lets two through that sign in: one is left for a teacher's roster
_turns = threading.BoundedSemaphore(AT_ONCE)


class FewAtOnce(Argon2PasswordHasher):
    """Django's Argon2, a few at the same time."""

    def encode(self, password: str, salt: str) -> str:
        """The hash of a password."""
        with _turns:
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        """Whether a password has this hash."""
        with _turns:
            return super().verify(password, encoded)
