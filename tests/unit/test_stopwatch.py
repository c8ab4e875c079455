"""The stopwatch: what overlaps counts once."""

from __future__ import annotations

import pytest

from pizarra.engine.stopwatch import Stopwatch, union_s


@pytest.mark.parametrize(
    ("intervals", "length_s"),
    [
        ([], 0),
        ([(1, 3)], 2),
        ([(1, 3), (3, 4)], 3),
        ([(5, 6), (1, 3)], 3),
        ([(1, 4), (2, 3)], 3),
        ([(1, 3), (2, 5), (7, 8)], 5),
        ([(1, 3), (1, 3)], 2),
    ],
)
def test_union_of_intervals_counts_an_overlap_once(
    intervals: list[tuple[float, float]], length_s: float
) -> None:
    assert union_s(intervals) == length_s


def test_wall_time_of_a_batch_within_a_batch_is_that_of_the_outer_one() -> None:
    watch = Stopwatch()
    with watch.timing("rewind", ["net-01"]), watch.timing("rewind", ["net-02"]):
        pass
    assert watch.wall_ms("rewind") == watch.of("net-01")["rewind"]
    assert watch.wall_ms("undo") == 0
