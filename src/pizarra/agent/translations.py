"""What leaves the agent is English for scripts, with each sentence in our other languages beside it
(``reason``, ``reason_in: {"es": …}``): the page picks its reader's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pizarra.errors import PizarraError
from pizarra.model.sentence import Sentence
from pizarra.service.languages import LANGUAGES, catalogue, say

_SENTENCES = frozenset({"reason", "no_undo"})  # sentences also when they have no facts
_CATALOGUES = {language: catalogue(language) for language in LANGUAGES}


def with_translations(document: Any) -> Any:
    """The document, and beside each of its sentences the sentence in other languages."""
    if isinstance(document, list | tuple):
        return [with_translations(one) for one in document]
    if not isinstance(document, Mapping):
        return document
    translated: dict[str, Any] = {}
    for name, value in document.items():
        translated[name] = with_translations(value)
        if isinstance(value, Sentence) or (name in _SENTENCES and isinstance(value, str)):
            translated[f"{name}_in"] = _in_languages(value)
    return translated


def _in_languages(sentence: str) -> dict[str, str]:
    return {language: say(sentence, words) for language, words in _CATALOGUES.items()}


def error_json(error: PizarraError) -> dict[str, Any]:
    """An error of ours: its stable code, its sentence, its next step and its statuses."""
    return dict(
        with_translations(
            {
                "code": error.code,
                "says": Sentence(error.text, **error.facts),
                "hint": Sentence(error.hint, **error.facts),
                "http_status": error.http_status,
                "exit_status": error.exit_status,
            }
        )
    )
