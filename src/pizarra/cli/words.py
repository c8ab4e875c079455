"""The reader's language: Spanish or English, by locale."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pizarra.errors import PizarraError
from pizarra.model.outcome import Outcome
from pizarra.service import languages
from pizarra.service.languages import catalogue

OUTCOME_SIGNS = {
    Outcome.DONE: "✔",
    Outcome.UNCHANGED: "=",
    Outcome.SKIPPED: "-",
    Outcome.FAILED: "✘",
    Outcome.UNKNOWN: "?",
}


def language() -> str:
    """The reader's, as ``es``."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(variable):
            return value.partition("_")[0].partition(".")[0]
    return "en"


spoken = catalogue(language())


def _(text: str) -> str:
    """In the reader's language."""
    return languages.word(text, spoken)


def ngettext(singular: str, plural: str, n: int) -> str:
    """The form that goes with this number."""
    return spoken.ngettext(singular, plural, n)


def translate(text: str, facts: Mapping[str, object]) -> str:
    """A template over facts, in the reader's language; so are facts that are words of ours."""
    return languages.translate(text, facts, spoken)


def say(told: str | PizarraError) -> str:
    """A reason, a fault, an error or a word of ours, in the reader's language."""
    return languages.say(told, spoken)
