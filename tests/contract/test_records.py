"""The record of a classroom: every storage backend keeps it as it was written."""

from __future__ import annotations

from dataclasses import replace

from pizarra.model.classroom_record import ClassroomRecord
from pizarra.model.outcome import Mode
from pizarra.model.policy import After, Policy, ResetBy
from pizarra.storage.interface import Storage
from tests.contract.storage_bench import Bench
from tests.contract.test_storage import Room, bench, kind, room, shared

__all__ = ["bench", "kind", "room", "shared"]  # fixtures

NET = ClassroomRecord(
    classroom="net",
    template="debian",
    version=3,
    memory_bytes=2 << 30,
    vcpus=2,
    network="bridge=br0.12",
    policy=Policy(
        after_reset=After.RUNNING,
        modes=(Mode.COLD, Mode.HOT),
        reset_by=ResetBy.TECHNICIANS,
        undo_hours=0,
        minutes=90,
    ),
)
LAB = ClassroomRecord(classroom="lab-2", template="debian", version=1, network="isolated")


def records_of(storage: Storage) -> dict[str, ClassroomRecord | None]:
    facts = storage.observe()
    assert all(one.place == storage.place and one.fault is None for one in facts.records)
    return {one.classroom: one.record for one in facts.records}


def test_record_when_written_then_another_driver_reads_the_same(bench: Bench) -> None:
    for record in (NET, LAB):
        bench.storage.write_record(record)
    assert records_of(bench.again()) == {"net": NET, "lab-2": LAB}
    bench.storage.remove_record("net")
    bench.storage.remove_record("lab-2")


def test_record_when_written_again_then_takes_the_place_of_the_first(bench: Bench) -> None:
    changed = replace(NET, vcpus=4, policy=Policy())
    for record in (NET, NET, changed):
        bench.storage.write_record(record)
    assert records_of(bench.storage) == {"net": changed}
    bench.storage.remove_record("net")


def test_record_when_removed_then_is_gone_and_twice_is_fine(bench: Bench) -> None:
    for record in (NET, LAB):
        bench.storage.write_record(record)
    for _ in range(2):
        bench.storage.remove_record("net")
    assert records_of(bench.storage) == {"lab-2": LAB}
    bench.storage.remove_record("lab-2")
    assert records_of(bench.storage) == {}


def test_record_when_written_then_volumes_are_as_they_were(room: Room) -> None:
    before = room.storage.observe().volumes
    room.storage.write_record(NET)
    assert room.storage.observe().volumes == before
    room.storage.remove_record("net")
