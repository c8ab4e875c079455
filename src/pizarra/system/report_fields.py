"""Fields of LVM's reports in JSON, where a number is text and a missing one is empty or -1."""

from __future__ import annotations

from math import isfinite
from typing import Annotated

from pydantic import BeforeValidator

_MISSING = (None, "", "-1")
Number = Annotated[int, BeforeValidator(lambda raw: 0 if raw in _MISSING else raw)]


def _share(raw: object) -> float | None:
    if raw in _MISSING:
        return None
    if not isinstance(raw, str) or not isfinite(float(raw)):
        raise ValueError("it is no percentage")
    return float(raw) / 100


Share = Annotated[float | None, BeforeValidator(_share)]
