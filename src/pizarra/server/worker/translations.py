"""What leaves the worker is English for scripts, with each sentence in our other languages
beside it (``reason``, ``reason_in: {"es": …}``): the page picks its reader's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pizarra.errors import PizarraError
from pizarra.model.sentence import Sentence
from pizarra.service.languages import LANGUAGES, catalogue, say

_TOLD = frozenset({"reason", "no_undo"})  # sentences also when they have no facts
_CATALOGUES = {language: catalogue(language) for language in LANGUAGES}


def with_translations(document: Any) -> Any:
    """The document, and beside each of its sentences what it is in other languages."""
    if isinstance(document, list | tuple):
        return [with_translations(one) for one in document]
    if not isinstance(document, Mapping):
        return document
    told: dict[str, Any] = {}
    for name, value in document.items():
        told[name] = with_translations(value)
        if isinstance(value, Sentence) or (name in _TOLD and isinstance(value, str)):
            told[f"{name}_in"] = _in_languages(value)
    return told


def _in_languages(told: str) -> dict[str, str]:
    return {language: say(told, words) for language, words in _CATALOGUES.items()}


def error_json(error: PizarraError) -> dict[str, Any]:
    """An error of ours, with its next step."""
    told = {
        "error": type(error).__name__,
        "says": Sentence(error.text, **error.facts),
        "hint": Sentence(error.hint, **error.facts),
        "http_status": error.http_status,
    }
    return dict(with_translations(told))
