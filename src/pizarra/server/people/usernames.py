"""What people sign in with."""

from __future__ import annotations

import unicodedata

from django.utils.translation import gettext as _

LENGTH_MAX = 150  # of Django's column


def parse_username(text: str) -> str:
    """In lower case, each letter with its accent as one character."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text.strip()).lower())


def username_fault(name: str) -> str:
    """Why nobody can sign in with this name, in the reader's language; empty if they can.

    Django keeps names in the form NFKC, in which ``mª`` is ``ma``. Two names of that kind would be
    one account, so only names that stay as they are are good.
    """
    shown = name if name.isprintable() else ascii(name)
    kept = unicodedata.normalize("NFKC", name)
    if kept != name:
        text = _("{name} cannot be a user name: write {other}")
        return text.format(name=shown[:60], other=kept[:60])
    letters = name.replace(".", "").replace("-", "").replace("_", "")
    if not letters.isalnum() or len(name) > LENGTH_MAX:
        return _("{name} cannot be a user name").format(name=shown[:60])
    return ""
