"""Pieces of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SIGNS = re.compile(r"(?<!`)([\\*<\[|])(?!`)")


def plain(text: str) -> str:
    """Text of the code on one line. Code between backticks stays code; no other sign means
    anything."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(p if p.startswith("`") else _SIGNS.sub(r"\\\1", p) for p in parts)


def sentence(text: str) -> str:
    """A description as a sentence: a capital at its beginning, a full stop at its end."""
    one = plain(text)
    first = one.partition(" ")[0].strip(",;.")
    begin = one[:1].upper() if first.replace("'", "").isalpha() else one[:1]  # no address, no code
    return f"{begin}{one[1:]}" + ("" if one.endswith((".", "!", "?")) else ".")


def code(text: str) -> str:
    """A code span, also in a cell of a table."""
    return f"`{text}`".replace("|", "\\|")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; empty without rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return ""
    names = list(head)
    return "\n".join([f"| {' | '.join(names)} |", "|---" * len(names) + "|", *lines]) + "\n"
