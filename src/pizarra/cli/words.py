"""The reader's language: Spanish or English, by locale."""

from __future__ import annotations

import gettext
import os
from collections.abc import Mapping
from pathlib import Path

from pizarra.model.outcome import Outcome

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


_catalogue = gettext.translation("pizarra", _LOCALES, languages=[_language()], fallback=True)
_ = _catalogue.gettext
ngettext = _catalogue.ngettext


def translated(text: str, facts: Mapping[str, object]) -> str:
    """A template over facts, in the reader's language."""
    return _(text).format(**facts)
