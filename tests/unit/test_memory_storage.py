"""The memory backend's own promises: it fails where it is told to, and a crash leaves a middle."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pizarra.errors import PizarraError, StorageFault
from pizarra.model.labels import SeatLabels, TemplateLabels
from pizarra.model.sizes import MIB
from pizarra.storage.interface import Change, NewVolume, RewindTarget
from pizarra.storage.memory.store import Crash, MemoryStore

FILLING = NewVolume(name="net", size_bytes=MIB, labels=TemplateLabels(template="net", version=1))
NUMBERS = (1, 2, 3)


@pytest.fixture
def storage() -> MemoryStore:
    """Three seats that were written to."""
    storage = MemoryStore()
    storage.create_golden(FILLING)
    storage.write("net", 0, b"teacher")
    golden = storage.seal_golden(
        storage.disks.find("net").volume, TemplateLabels(template="net", version=1)
    )
    labels = SeatLabels(classroom="a", seat=1, baseline=golden.uuid)
    seats = [NewVolume(name=f"a-{n:02d}", size_bytes=MIB, labels=labels) for n in NUMBERS]
    storage.create_seats(golden, seats)
    for seat in seats:
        storage.write(seat.name, 0, b"student")
    return storage


def pairs(storage: MemoryStore) -> list[RewindTarget]:
    golden, *seats = storage.observe().volumes
    return [RewindTarget(volume=seat, source=golden) for seat in seats]


def test_fail_at_when_a_step_of_a_batch_then_only_its_volume_fails_and_once(
    storage: MemoryStore,
) -> None:
    storage.fail_at("rewind", 4, StorageFault("the disk is loose"))
    faults = list(storage.rewind(pairs(storage)).values())
    assert [str(fault) for fault in faults] == ["None", "the disk is loose", "None"]
    with pytest.raises(StorageFault):
        storage.read("a-02", 0, 7)
    assert isinstance(list(storage.diff(pairs(storage)).values())[1], PizarraError)
    assert not pairs(storage)[1].volume.active
    assert list(storage.rewind(pairs(storage)).values()) == [None] * 3
    assert storage.read("a-02", 0, 7) == b"teacher"


@pytest.mark.parametrize("call", ["observe", "create_golden", "create_seats", "grow"])
def test_fail_at_when_the_call_has_no_outcome_a_volume_then_it_raises(
    storage: MemoryStore, call: str
) -> None:
    other = NewVolume(name="new", size_bytes=MIB, labels=FILLING.labels)
    golden = pairs(storage)[0].source
    calls: dict[str, Callable[[], object]] = {
        "observe": storage.observe,
        "create_golden": lambda: storage.create_golden(other),
        "create_seats": lambda: storage.create_seats(golden, [other]),
        "grow": lambda: storage.grow(golden, 2 * MIB),
    }
    storage.fail_at(call, 1, StorageFault("no"))
    with pytest.raises(StorageFault, match="no"):
        calls[call]()
    calls[call]()


def test_crash_at_when_at_each_step_of_a_rewind_then_a_new_driver_ends_it(
    storage: MemoryStore,
) -> None:
    halves = []
    for step in range(1, 7):
        for number in NUMBERS:
            storage.write(f"a-{number:02d}", 0, b"student")
        storage.crash_at(step)
        with pytest.raises(Crash):
            storage.rewind(pairs(storage))
        storage = MemoryStore(storage.disks)
        halves.append([pair.volume.name for pair in pairs(storage) if not pair.volume.active])
        assert halves[-1] == [
            pair.volume.name for pair in pairs(storage) if storage.has_error_table(pair.volume)
        ]
        assert list(storage.rewind(pairs(storage)).values()) == [None] * 3
        assert (
            list(storage.diff(pairs(storage), independently=True).values())
            == [Change(changed_bytes=0)] * 3
        )
    assert halves == [[], ["a-01"], [], ["a-02"], [], ["a-03"]]
    assert list(storage.rewind(pairs(storage)).values()) == [None] * 3  # one crash, not another


def test_write_when_across_blocks_then_reads_back_and_never_past_the_end(
    storage: MemoryStore,
) -> None:
    data = bytes(range(1, 256)) * 40
    storage.write("a-01", 4000, data)
    assert storage.read("a-01", 3999, len(data) + 2) == b"\0" + data + b"\0"
    for name, offset in (("net", 0), ("a-01", MIB - 1), ("none", 0)):
        with pytest.raises(StorageFault):
            storage.write(name, offset, b"xx")
