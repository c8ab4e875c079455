"""The host that the server speaks to, on the same machine, and its errors in the languages of
pages."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from pizarra.agent.client import HostClient, HostRefused
from pizarra.agent.translations import error_json
from pizarra.errors import PizarraError

_DETAILS = {"detail_in": "says", "hint_in": "hint"}


def host() -> HostClient:
    """A client of the agent of this machine."""
    return HostClient(settings.PIZARRA.agent_socket)


def in_languages(error: PizarraError) -> dict[str, Any]:
    """The translations of an error: ``detail_in``, ``hint_in``."""
    answer = error.answer if isinstance(error, HostRefused) else error_json(error)
    return {name: answer[f"{of}_in"] for name, of in _DETAILS.items() if f"{of}_in" in answer}


def in_language(error: PizarraError, language: str) -> str:
    """The sentence and the next step of an error, in one language."""
    translated = in_languages(error)
    parts = (("detail_in", str(error)), ("hint_in", error.advice))
    return " ".join(translated.get(name, {}).get(language) or text for name, text in parts).strip()
