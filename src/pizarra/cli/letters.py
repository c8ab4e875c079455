"""Texts on a terminal that knows few letters (Latin-1, ASCII): signs in plain letters."""

from __future__ import annotations

import codecs
import sys
import unicodedata

_HANDLER = "pizarra"
_PLAIN = {"\N{HEAVY CHECK MARK}": "+", "\N{HEAVY BALLOT X}": "x", "\N{MIDDLE DOT}": "-",
          "\N{HORIZONTAL ELLIPSIS}": "...", "\N{RIGHTWARDS ARROW}": "->"}  # fmt: skip


def print_any_text() -> None:
    """No text fails to be printed from now on, by whoever prints it on stdout or stderr."""
    codecs.register_error(_HANDLER, _replace)
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors=_HANDLER)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(letter: str) -> str:
    """The sign in plain letters, the letter without its accent, or its number."""
    bare = unicodedata.normalize("NFKD", letter)[:1]
    return _PLAIN.get(letter) or (bare if bare.isascii() else ascii(letter)[1:-1])
