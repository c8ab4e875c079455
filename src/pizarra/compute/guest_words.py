"""What the agent in a guest says. Whoever has root in the guest chooses the words."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pizarra.errors import ComputeFault
from pizarra.model.foreign_json import parse_foreign_json


def parse_answer(text: str) -> dict[str, Any]:
    """An answer as a JSON object. Raises ComputeFault."""
    with suppress(ValueError):
        parsed = parse_foreign_json(text)
        if isinstance(parsed, dict):
            return parsed
    raise ComputeFault("the agent in the guest answers with what is no answer")
