"""What every storage backend promises of versions: drafts, seals, and seats that go to another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pizarra.errors import OtherOriginal, PizarraError
from pizarra.model.facts import Volume
from pizarra.model.labels import MaintenanceLabels, SeatLabels, TemplateLabels
from pizarra.model.sizes import MIB
from pizarra.storage.content import checksum
from pizarra.storage.interface import Change, NewVolume, Rebase, RewindTarget
from tests.contract.storage_bench import Bench
from tests.contract.test_storage import (
    AT,
    ORIGINAL,
    SIZE,
    STUDENT,
    Room,
    bench,
    kind,
    names,
    new_seat,
    room,
    seal,
    shared,
    volume_named,
)

__all__ = ["bench", "kind", "room", "shared"]  # fixtures
TEACHER = b"teacher!" * 8192


def draft(bench: Bench, golden: Volume, size_bytes: int = SIZE) -> Volume:
    labels = MaintenanceLabels(template="net", version=2, memory_bytes=MIB)
    new = NewVolume(labels=labels, size_bytes=size_bytes, name="g.v2")
    return bench.storage.create_golden(new, golden)


def publish(bench: Bench, golden: Volume, size_bytes: int = SIZE) -> Volume:
    """The second version: another word where students write too."""
    made = draft(bench, golden, size_bytes)
    bench.write(made, AT, TEACHER)
    labels = TemplateLabels(template="net", version=2)
    return bench.storage.seal_golden(volume_named(bench.storage, "g.v2"), labels)


def move(room: Room, number: int, golden: Volume, still: int = 1) -> Rebase:
    labels = replace(new_seat(number, golden).labels, version=2, content_version=still)
    return Rebase(volume=room.now(number), golden=golden, labels=labels)


def pair(room: Room, number: int, golden: Volume) -> RewindTarget:
    return RewindTarget(volume=room.now(number), source=golden)


def test_draft_when_made_then_is_a_writable_golden_and_changes_nothing_of_it(room: Room) -> None:
    shares: list[float] = []
    labels = MaintenanceLabels(template="net", version=2)
    new = NewVolume(labels=labels, size_bytes=SIZE, name="g.v2")
    made = room.storage.create_golden(new, room.golden, shares.append)
    assert made == volume_named(room.storage, "g.v2")
    assert (made.labels, made.read_only, made.size_bytes) == (labels, False, SIZE)
    assert shares[-1] == 1.0
    assert room.bench.read(made, MIB, len(ORIGINAL)) == ORIGINAL
    room.bench.write(made, AT, TEACHER)
    assert room.bench.read(room.golden, AT, len(ORIGINAL)) == ORIGINAL
    assert room.is_original(1)
    with pytest.raises(PizarraError):  # its name is taken, and the first stays
        draft(room.bench, room.golden)
    assert volume_named(room.storage, "g.v2").uuid == made.uuid


def test_draft_when_larger_and_sealed_then_stands_on_nothing(bench: Bench) -> None:
    golden = seal(bench)
    second = publish(bench, golden, 2 * SIZE)
    assert (second.read_only, second.size_bytes) == (True, 2 * SIZE)
    assert second.labels == TemplateLabels(template="net", version=2)
    before = checksum(bench.storage, second, 2 * SIZE)
    assert list(bench.storage.remove([golden]).values()) == [None]
    assert names(bench.storage.observe()) & {"g", "g.v2"} == {"g.v2"}
    assert checksum(bench.storage, second, 2 * SIZE) == before
    assert bench.read(second, AT, len(TEACHER)) == TEACHER
    assert bench.read(second, MIB, len(ORIGINAL)) == ORIGINAL
    assert bench.read(second, SIZE, SIZE) == bytes(SIZE)


def test_moved_when_seats_go_to_a_larger_version_then_a_rewind_takes_them_there_and_back(
    room: Room,
) -> None:
    second = publish(room.bench, room.golden, 2 * SIZE)
    at_reset = room.storage.capabilities.rebase_at_reset
    room.vandalise(1)
    moves = [move(room, number, second) for number in (1, 2)]
    assert set(room.storage.rebase(moves).values()) == {None}
    for number in (1, 2):
        labels = room.now(number).labels
        assert isinstance(labels, SeatLabels)
        assert (labels.baseline, labels.version) == (second.uuid, 2)
        assert labels.content_version == int(at_reset)
    if at_reset:
        assert room.bench.read(room.now(1), AT, len(STUDENT)) == STUDENT
        found = room.storage.diff([pair(room, 2, second)])[room.seats[2].uuid]
        other = isinstance(found, OtherOriginal)
        assert other or (isinstance(found, Change) and not found.original)
    rewind_and_prove(room, second, 1, 2)
    for number in (1, 2):
        assert room.now(number).size_bytes == 2 * SIZE
        assert room.bench.read(room.now(number), AT, len(TEACHER)) == TEACHER
    assert room.is_original(3)
    assert set(room.storage.rebase([move(room, 1, room.golden)]).values()) == {None}
    rewind_and_prove(room, room.golden, 1)
    room.seats[1] = room.now(1)
    assert room.is_original(1)


def rewind_and_prove(room: Room, golden: Volume, *numbers: int) -> None:
    pairs = [pair(room, number, golden) for number in numbers]
    assert set(room.storage.rewind(pairs).values()) == {None}
    for found in (
        *room.storage.diff(pairs).values(),
        *room.storage.diff(pairs, independently=True).values(),
    ):
        assert isinstance(found, Change)
        assert found.original


def test_moved_when_one_is_gone_and_one_another_by_now_then_only_the_third_goes(
    room: Room,
) -> None:
    second = publish(room.bench, room.golden)
    moves = [move(room, number, second) for number in (1, 2, 3)]
    moves[2] = replace(moves[2], volume=replace(moves[2].volume, uuid=second.uuid[::-1]))
    room.bench.lose(room.now(1))
    faults = room.storage.rebase(moves)
    assert isinstance(faults[moves[0].volume.uuid], PizarraError)
    assert isinstance(faults[moves[2].volume.uuid], PizarraError)
    assert faults[moves[1].volume.uuid] is None
    for number, golden in ((2, second), (3, room.golden)):
        labels = room.now(number).labels
        assert isinstance(labels, SeatLabels)
        assert labels.baseline == golden.uuid
