"""Steps that overlap: what goes on in threads keeps its order where order matters."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pizarra.errors import StorageFault
from pizarra.model.disk_source import BlockDevice
from pizarra.model.facts import Volume
from pizarra.storage.batches import AtOnce, run_in_phases
from pizarra.storage.kinds import Kind
from pizarra.system import rcu


def _volume(name: str) -> Volume:
    return Volume(
        kind=Kind.MEMORY,
        place="memory",
        name=name,
        uuid=name,
        source=BlockDevice(Path("/memory") / name),
        size_bytes=0,
        labels=None,
    )


def test_in_phases_when_some_fail_then_their_later_steps_are_left_out() -> None:
    did: list[tuple[str, str]] = []

    def step(name: str, fails: str) -> Callable[[Volume], None]:
        def act(volume: Volume) -> None:
            did.append((name, volume.name))
            if volume.name == fails:
                raise StorageFault("{step}", step=name)

        return act

    volumes = [_volume(name) for name in "abcd"]
    faults = run_in_phases(
        volumes, AtOnce(step("before", "a")), step("between", "b"), AtOnce(step("after", "c"))
    )
    assert {uuid: str(fault) if fault else None for uuid, fault in faults.items()} == {
        "a": "before",
        "b": "between",
        "c": "after",
        "d": None,
    }
    assert [name for name, seat in did if seat == "a"] == ["before"]
    assert [name for name, seat in did if seat == "b"] == ["before", "between"]
    assert [name for name, seat in did if seat == "d"] == ["before", "between", "after"]


def test_in_phases_when_all_wait_for_each_other_before_then_between_is_done_by_one_thread() -> None:
    volumes = [_volume(str(number)) for number in range(16)]
    together, threads = threading.Barrier(len(volumes), timeout=60), set()

    def before(_: Volume) -> None:
        together.wait()

    def between(_: Volume) -> None:
        threads.add(threading.get_ident())

    faults = run_in_phases(volumes, AtOnce(before), between)
    assert set(faults.values()) == {None}
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("before", ["0", "1"])
def test_expedited_when_two_hold_it_then_the_last_one_puts_back_what_was(
    before: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch = tmp_path / "rcu_expedited"
    switch.write_text(before)
    monkeypatch.setattr(rcu, "_SWITCH", switch)
    with rcu.expediting():
        with rcu.expediting():
            assert switch.read_text() == "1"
        assert switch.read_text() == "1"
    assert switch.read_text() == before
