"""Forecasts, and who was active lately."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pizarra.engine import growth
from pizarra.engine.events import Noted
from pizarra.engine.memory_host import memory_host
from pizarra.model.facts import Pool
from pizarra.model.sizes import GIB
from pizarra.planner.forecast import Sample, full_in_s
from pizarra.service import activity, verbs
from pizarra.service.context import Context
from pizarra.service.guard import guard, pool_json
from pizarra.settings import Settings
from pizarra.storage.kinds import Kind
from tests.unit.test_reset import School


def samples(*used: tuple[float, int]) -> list[Sample]:
    return [Sample(at=at, used_bytes=number) for at, number in used]


def test_forecast_when_it_grows_then_is_the_time_that_the_rest_takes() -> None:
    assert full_in_s(samples((0, 0), (600, 6 * GIB)), 10 * GIB) == pytest.approx(1000)


@pytest.mark.parametrize(
    "history",
    [[], [(0, 5)], [(0, 5), (60, 9)], [(0, 5), (600, 5)], [(0, 9), (600, 5)]],
    ids=["nothing", "one", "too short", "no growth", "it shrinks"],
)
def test_forecast_when_nobody_can_know_then_says_nothing(history: list[tuple[int, int]]) -> None:
    assert full_in_s(samples(*history), GIB) is None


def test_forecast_when_a_reset_freed_space_then_counts_from_there() -> None:
    history = samples((0, 90), (600, 100), (1200, 10), (1800, 40))
    assert full_in_s(history, 60) == pytest.approx(1200)


def test_forecast_when_the_growth_is_of_yesterday_then_says_nothing() -> None:
    assert full_in_s(samples((0, 0), (600, 50), (90_000, 50)), 50) is None


MINUTE = 60.0


@pytest.mark.parametrize(
    "levels",
    [
        [0, 8],
        [0, 8, 8, 8, 8],
        [0, 4, 8] + [8] * 20,
        [0] * 50 + [4, 8],
        [0, 2, 4, 6, 8] + [8] * 30,
    ],
    ids=["made just now", "made a while ago", "an import", "an import at last", "a slow import"],
)
def test_forecast_when_a_pool_was_filled_in_one_go_then_says_nothing(levels: list[int]) -> None:
    """A thin pool takes its volume group, an import takes what it needs: neither goes on."""
    history = samples(*((MINUTE * n, GIB * level) for n, level in enumerate(levels)))
    assert full_in_s(history, GIB) is None


def test_forecast_when_an_import_came_between_then_counts_the_growth_beside_it() -> None:
    levels = [n + (1000 if n > 20 else 0) for n in range(61)]
    history = samples(*((MINUTE * n, level) for n, level in enumerate(levels)))
    assert full_in_s(history, 60) == pytest.approx(3600)


@pytest.mark.parametrize(
    ("place", "name", "title"),
    [
        ("vg0", "pizarra", "vg0/pizarra"),
        ("vg0", "vg0", "vg0"),
        ("/srv/disks",) * 2 + ("/srv/disks",),
    ],
)
def test_pool_when_shown_then_no_name_is_doubled(place: str, name: str, title: str) -> None:
    pool = Pool(kind=Kind.LVM_THIN, place=place, name=name, size_bytes=10, free_bytes=4)
    assert pool_json(Settings(), pool)["title"] == title


def test_growth_when_recorded_then_read_back_and_a_cut_line_is_none(tmp_path: Path) -> None:
    pool = Pool(kind=Kind.LVM_THIN, place="vg", name="pizarra", size_bytes=10, free_bytes=4)
    growth.record(tmp_path, [pool])
    growth.record(tmp_path, [pool])
    (file,) = tmp_path.iterdir()
    with file.open("a") as out:
        out.write("17")
    assert [one.used_bytes for one in growth.history(tmp_path, pool)] == [6, 6]


def school_at(folder: Path) -> tuple[School, list[str]]:
    school, told = School(), list[str]()
    host = memory_host(school.storage, school.compute, Settings(server_folder=folder))
    school.context = Context(
        host, lambda event: told.append(str(event.text)) if isinstance(event, Noted) else None
    )
    return school, told


def test_reset_when_somebody_was_active_then_says_so_before_and_once(tmp_path: Path) -> None:
    school, told = school_at(tmp_path)
    school.dirty(1, 2)
    folder = school.context.host.settings.activity_folder
    activity.record_activity(folder, "net", 1)
    activity.record_activity(folder, "net", 2)
    old = time.time() - activity.LATELY_S - 5
    os.utime(folder / "net-02", (old, old))
    verbs.reset(school.context, "net")
    assert [text for text in told if "active lately" in text] == [
        "Somebody was active lately on: {names}. An undo brings their work back."
    ]
    told.clear()
    school.dirty(1)
    verbs.reset(school.context, "net")
    assert not [text for text in told if "active" in text], "what was done then is gone"


def test_guard_when_an_undo_is_too_old_then_drops_it(tmp_path: Path) -> None:
    school, told = school_at(tmp_path)
    school.dirty(1)
    verbs.reset(school.context, "net")
    guard(school.context)
    assert not told
    host = memory_host(
        school.storage, school.compute, Settings(server_folder=tmp_path, undo_hours=0)
    )
    guard(Context(host, school.context.emit))
    assert told == [
        "The last reset of {names} can be undone no more: it was more than {hours:g} h ago."
    ]
