"""The profile of a rewind, read off the flight record."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bench.profile import phases_ms

BEGAN = datetime(2026, 11, 29, 23, 59, 59, tzinfo=UTC).timestamp()
FLIGHT = [
    "23:59:59.001000 dm TARGET_MSG vg-p-tpool create_snap 16777214 1",
    "23:59:59.010000 dm TABLE_LOAD vg-net--01 error",
    "23:59:59.011000 dm TABLE_LOAD vg-net--02 error",
    "23:59:59.012000 dm DEV_SUSPEND vg-net--01",
    "23:59:59.500000 dm TARGET_MSG vg-p-tpool create_snap 8388609 2",
    "23:59:59.600000 dm TARGET_MSG vg-p-tpool delete 2",
    "00:00:00.250000 dm TABLE_LOAD vg-net--01 thin 254:4 2",
    "00:00:00.300000 dm TABLE_LOAD vg-net--02 thin 254:4 3",
]


def test_phases_when_the_record_passes_midnight_then_each_has_its_time() -> None:
    assert phases_ms(BEGAN, BEGAN + 1.5, FLIGHT) == pytest.approx(
        {"before": 10, "to_error": 490, "messages": 750, "back": 250}
    )
