"""JSON that somebody hostile may have written."""

from __future__ import annotations

import json


def parse_foreign_json(text: str) -> object:
    """Raises ValueError for whatever is no JSON, also for brackets that go too deep for Python."""
    try:
        parsed: object = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    return parsed
