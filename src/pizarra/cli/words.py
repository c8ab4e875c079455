"""The reader's language: Spanish or English, by locale."""

from __future__ import annotations

import gettext
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from pizarra.errors import PizarraError
from pizarra.model.outcome import Outcome
from pizarra.model.sentence import Sentence

_LOCALES = Path(__file__).parent.parent / "locale"
OUTCOME_SIGNS = {
    Outcome.DONE: "✔",
    Outcome.UNCHANGED: "=",
    Outcome.SKIPPED: "-",
    Outcome.FAILED: "✘",
    Outcome.UNKNOWN: "?",
}


def _language() -> str:
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(variable):
            return value.partition("_")[0].partition(".")[0]
    return "en"


def catalogue(language: str) -> gettext.NullTranslations:
    """The words of a language; English when there are none."""
    return gettext.translation("pizarra", _LOCALES, languages=[language], fallback=True)


spoken = catalogue(_language())
_OURS = frozenset({"verb", "what", "why"})  # facts that may be words of ours, not names


def _(text: str) -> str:
    """In the reader's language; gettext's answer to nothing would be the catalogue's head."""
    return spoken.gettext(text) if text else ""


def ngettext(singular: str, plural: str, n: int) -> str:
    """The form that goes with this number."""
    return spoken.ngettext(singular, plural, n)


def translated(text: str, facts: Mapping[str, object]) -> str:
    """A template over facts, in the reader's language; so are facts that are words of ours."""
    return _(text).format(**{name: _fact(name, fact) for name, fact in facts.items()})


def _fact(name: str, fact: object) -> object:
    if isinstance(fact, PizarraError | Sentence | StrEnum):
        return in_words(fact)
    return _(fact) if name in _OURS and isinstance(fact, str) else fact


def in_words(told: str | PizarraError) -> str:
    """A reason, a fault, an error or a word of ours."""
    if isinstance(told, PizarraError | Sentence):
        return translated(told.text, told.facts) if told.facts else _(told.text)
    return _(str(told))
