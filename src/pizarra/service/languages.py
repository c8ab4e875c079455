"""The catalogues of the core, and how a sentence is translated."""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from pizarra.errors import PizarraError
from pizarra.model.sentence import Counted, Sentence, Translated

LANGUAGES = ("es",)  # beside English, which is in the source
_LOCALES = Path(__file__).parent.parent / "locale"
_OURS = frozenset({"verb", "what", "why"})  # facts that may be words of ours, not names


def catalogue(language: str) -> gettext.NullTranslations:
    """The catalogue of a language; English when there is none."""
    return gettext.translation("pizarra", _LOCALES, languages=[language], fallback=True)


def word(text: str, spoken: gettext.NullTranslations) -> str:
    """Translate one text. (gettext would answer an empty text with the head of the catalogue.)"""
    if isinstance(text, Counted):
        return spoken.ngettext(text.singular, text.plural, text.n)
    return spoken.gettext(text) if text else ""


def translate(text: str, facts: Mapping[str, object], spoken: gettext.NullTranslations) -> str:
    """Translate a template over facts, and the facts that are words of ours."""
    told = {name: _fact(name, fact, spoken) for name, fact in facts.items()}
    return word(text, spoken).format(**told)


def _fact(name: str, fact: object, spoken: gettext.NullTranslations) -> object:
    if isinstance(fact, PizarraError | Sentence | Translated | StrEnum):
        return say(fact, spoken)
    return word(fact, spoken) if name in _OURS and isinstance(fact, str) else fact


def say(told: str | PizarraError, spoken: gettext.NullTranslations) -> str:
    """Translate a reason, a fault, an error or a word of ours."""
    if isinstance(told, PizarraError | Sentence):
        return translate(told.text, told.facts, spoken) if told.facts else word(told.text, spoken)
    if isinstance(told, Translated):
        return told.languages.get(spoken.info().get("language", "")) or str(told)
    return word(str(told), spoken)
