"""The key that signs sessions and tickets: made once, kept in our folder, shown to nobody."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

NAME = "secret-key"


def secret_key(folder: Path) -> str:
    """The one that ``serve`` made; without it one that lasts as long as this process."""
    try:
        return (folder / NAME).read_text("ascii").strip() or secrets.token_urlsafe(50)
    except (OSError, UnicodeDecodeError):
        return secrets.token_urlsafe(50)


def secret_key_made(folder: Path) -> None:
    """Fine if it is there."""
    try:
        fd = os.open(folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(50) + "\n")
