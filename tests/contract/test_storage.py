"""What every storage backend promises (storage/interface.py), held against each of them.

LVM's are among them where PIZARRA_LAB says that the volume group is nobody's: in the lab.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pizarra.errors import BadInput, NoSpace, NotOurs, PizarraError
from pizarra.model.facts import StorageFacts, StorageKind, Volume
from pizarra.model.labels import Labels, Role
from pizarra.model.sizes import KIB, MIB, TIB
from pizarra.storage.interface import Change, NewVolume, Pair, Storage
from tests.contract.storage_bench import Bench, MemoryBench
from tests.contract.storage_qcow2 import Qcow2Bench

SIZE = 16 * MIB
ORIGINAL = hashlib.shake_128(b"what the teacher wrote").digest(512 * KIB)
STUDENT = b"student!" * 8192
AT = 4 * MIB
IN_LAB = os.environ.get("PIZARRA_LAB") == "1"
BACKENDS = ["memory", "qcow2", *(["lvm-thin", "lvm-thick"] if IN_LAB else [])]


@pytest.fixture(params=BACKENDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    """An empty backend of each kind."""
    if request.param == "memory":
        return MemoryBench()
    if request.param == "qcow2":
        return Qcow2Bench(tmp_path / "store")
    from tests.contract.storage_lvm import LvmBench

    return LvmBench(StorageKind(request.param))


@dataclass(frozen=True)
class Room:
    """A sealed golden volume with content, and three seats on it."""

    bench: Bench
    golden: Volume

    @property
    def storage(self) -> Storage:
        return self.bench.storage

    def seat(self, number: int) -> Volume:
        return named(self.storage, f"s-{number:02d}")

    def pairs(self, *numbers: int) -> list[Pair]:
        return [Pair(seat=self.seat(number), baseline=self.golden) for number in numbers]

    def vandalised(self, *numbers: int) -> None:
        for number in numbers:
            self.bench.write(self.seat(number), AT, STUDENT)

    def checksum(self, volume: Volume) -> str:
        return hashlib.sha256(self.bench.read(volume, 0, SIZE)).hexdigest()


def new_golden(name: str = "g") -> NewVolume:
    labels = Labels(role=Role.FILLING, template="net", version=1)
    return NewVolume(labels=labels, size_bytes=SIZE, name=name)


def new_seat(number: int) -> NewVolume:
    labels = Labels(role=Role.SEAT, template="net", version=1, classroom="s", seat=number)
    return NewVolume(labels=labels, size_bytes=SIZE, name=f"s-{number:02d}")


def sealed(bench: Bench, name: str = "g") -> Volume:
    golden = bench.storage.golden_created(new_golden(name))
    bench.write(golden, MIB, ORIGINAL)
    bench.write(golden, AT, ORIGINAL)
    assert golden.labels is not None
    return bench.storage.golden_sealed(golden, golden.labels.but(role=Role.TEMPLATE))


def named(storage: Storage, name: str) -> Volume:
    (found,) = (volume for volume in storage.observe().volumes if volume.name == name)
    return found


def names(facts: StorageFacts) -> set[str]:
    return {volume.name for volume in facts.volumes}


def is_change(value: Change | PizarraError) -> Change:
    assert isinstance(value, Change), value
    return value


@pytest.fixture
def room(bench: Bench) -> Room:
    golden = sealed(bench)
    bench.storage.seats_created(golden, [new_seat(number) for number in (1, 2, 3)])
    return Room(bench, golden)


# golden


def test_observe_when_nothing_was_made_then_shows_no_volume_of_ours(bench: Bench) -> None:
    facts = bench.storage.observe()
    assert [volume for volume in facts.volumes if volume.labels or volume.fault] == []
    assert all(pool.free_bytes <= pool.size_bytes for pool in facts.pools)


def test_golden_when_created_then_is_blank_filling_and_writable(bench: Bench) -> None:
    golden = bench.storage.golden_created(new_golden())
    assert golden.labels == new_golden().labels
    assert golden.size_bytes == SIZE
    assert golden.uuid
    assert not golden.read_only
    assert golden == named(bench.storage, "g")
    if bench.storage.capabilities.new_is_zero:
        assert bench.read(golden, 0, SIZE) == bytes(SIZE)
    bench.write(golden, AT, STUDENT)
    assert bench.read(golden, AT, len(STUDENT)) == STUDENT


def test_golden_when_its_name_is_taken_then_is_refused_and_the_first_stays(bench: Bench) -> None:
    golden = bench.storage.golden_created(new_golden())
    bench.write(golden, AT, STUDENT)
    with pytest.raises(PizarraError):
        bench.storage.golden_created(new_golden())
    assert named(bench.storage, "g").uuid == golden.uuid
    assert bench.read(golden, AT, len(STUDENT)) == STUDENT


def test_golden_when_sealed_then_is_read_only_and_labelled_under_the_same_uuid(
    bench: Bench,
) -> None:
    before = bench.storage.golden_created(new_golden())
    labels = Labels(role=Role.TEMPLATE, template="net", version=1, memory_bytes=2 * MIB, vcpus=2)
    golden = bench.storage.golden_sealed(before, labels)
    assert (golden.labels, golden.read_only, golden.uuid) == (labels, True, before.uuid)
    assert golden == named(bench.storage, "g")


# seats


def test_seats_when_created_then_are_original_and_labelled(room: Room) -> None:
    assert names(room.storage.observe()) >= {"g", "s-01", "s-02", "s-03"}
    for number in (1, 2, 3):
        seat = room.seat(number)
        assert seat.labels == new_seat(number).labels
        assert (seat.size_bytes, seat.read_only, seat.fault) == (SIZE, False, None)
        assert room.checksum(seat) == room.checksum(room.golden)
    changes = room.storage.proven(room.pairs(1, 2, 3))
    assert [is_change(change).original for change in changes.values()] == [True] * 3
    assert changes == room.storage.witnessed(room.pairs(1, 2, 3))


def test_seats_when_created_for_none_then_nothing_happens(bench: Bench) -> None:
    golden = sealed(bench)
    bench.storage.seats_created(golden, [])
    assert bench.storage.rewound([]) == {}
    assert bench.storage.proven([]) == {}
    assert bench.storage.witnessed([]) == {}
    assert bench.storage.removed([]) == {}


def test_seat_when_written_then_neither_golden_nor_siblings_see_it(room: Room) -> None:
    room.vandalised(1)
    assert room.bench.read(room.seat(1), AT, len(STUDENT)) == STUDENT
    assert room.checksum(room.seat(2)) == room.checksum(room.golden)
    assert room.bench.read(room.golden, AT, len(ORIGINAL)) == ORIGINAL


def test_proof_when_one_seat_is_written_then_both_ways_say_so_of_it_alone(room: Room) -> None:
    room.vandalised(2)
    for changes in (
        room.storage.proven(room.pairs(1, 2)),
        room.storage.witnessed(room.pairs(1, 2)),
    ):
        assert is_change(changes[room.seat(1).uuid]).original
        assert is_change(changes[room.seat(2).uuid]).changed_bytes >= len(STUDENT)


def test_proof_when_the_seat_is_gone_then_fails_for_it_alone(room: Room) -> None:
    pairs = room.pairs(1, 2)
    room.bench.lose(room.seat(2))
    for changes in (room.storage.proven(pairs), room.storage.witnessed(pairs)):
        assert is_change(changes[pairs[0].seat.uuid]).original
        assert isinstance(changes[pairs[1].seat.uuid], PizarraError)


# rewound


def test_rewound_when_seats_were_written_then_are_as_the_golden_and_keep_their_uuid(
    room: Room,
) -> None:
    room.vandalised(1, 2)
    before = [room.seat(number).uuid for number in (1, 2)]
    assert dict(room.storage.rewound(room.pairs(1, 2))) == dict.fromkeys(before)
    for number in (1, 2):
        assert room.seat(number).uuid == before[number - 1]
        assert room.seat(number).labels == new_seat(number).labels
        assert room.checksum(room.seat(number)) == room.checksum(room.golden)
    changes = room.storage.proven(room.pairs(1, 2))
    assert [is_change(change).changed_bytes for change in changes.values()] == [0, 0]
    assert changes == room.storage.witnessed(room.pairs(1, 2))


def test_rewound_when_done_again_then_is_as_well(room: Room) -> None:
    room.vandalised(1)
    for _ in range(2):
        assert list(room.storage.rewound(room.pairs(1)).values()) == [None]
        assert room.checksum(room.seat(1)) == room.checksum(room.golden)
    room.vandalised(1)
    assert room.bench.read(room.seat(1), AT, len(STUDENT)) == STUDENT


def test_rewound_when_one_seat_is_another_by_now_then_only_that_one_is_left_alone(
    room: Room,
) -> None:
    room.vandalised(1, 2)
    good, other = room.pairs(1, 2)
    other = replace(other, seat=replace(other.seat, uuid=room.golden.uuid[::-1]))
    faults = room.storage.rewound([other, good])
    assert isinstance(faults[other.seat.uuid], PizarraError)
    assert faults[good.seat.uuid] is None
    assert room.checksum(room.seat(1)) == room.checksum(room.golden)
    assert room.bench.read(room.seat(2), AT, len(STUDENT)) == STUDENT


def test_rewound_when_one_seat_is_gone_then_the_others_are_done(room: Room) -> None:
    room.vandalised(1, 2, 3)
    pairs = room.pairs(1, 2, 3)
    room.bench.lose(room.seat(2))
    faults = room.storage.rewound(pairs)
    assert isinstance(faults[pairs[1].seat.uuid], PizarraError)
    for number in (1, 3):
        assert faults[room.seat(number).uuid] is None
        assert room.checksum(room.seat(number)) == room.checksum(room.golden)


def test_rewound_when_one_baseline_is_gone_then_the_others_are_done(room: Room) -> None:
    second = sealed(room.bench, "g2")
    room.storage.seats_created(second, [new_seat(9)])
    room.vandalised(1)
    lost = Pair(seat=room.seat(9), baseline=second)
    room.bench.lose(second)
    faults = room.storage.rewound([lost, *room.pairs(1)])
    assert isinstance(faults[lost.seat.uuid], PizarraError)
    assert faults[room.seat(1).uuid] is None
    assert room.checksum(room.seat(1)) == room.checksum(room.golden)


def test_rewound_when_the_disk_is_held_open_then_swaps_under_it_or_leaves_it_alone(
    room: Room,
) -> None:
    room.vandalised(1)
    with room.bench.held(room.seat(1)) as read:
        assert read(AT, len(STUDENT)) == STUDENT
        (fault,) = room.storage.rewound(room.pairs(1)).values()
        if room.storage.capabilities.hot_reset:
            assert fault is None
            assert read(AT, len(ORIGINAL)) == ORIGINAL
        else:
            assert isinstance(fault, PizarraError)
            assert read(AT, len(STUDENT)) == STUDENT
    (fault,) = room.storage.rewound(room.pairs(1)).values()
    assert fault is None
    assert room.checksum(room.seat(1)) == room.checksum(room.golden)


# growth and labels


def test_grown_when_larger_then_new_room_is_blank_and_a_rewind_keeps_the_size(room: Room) -> None:
    room.storage.grown(room.seat(1), SIZE + 8 * MIB)
    assert room.seat(1).size_bytes == SIZE + 8 * MIB
    assert room.checksum(room.seat(1)) == room.checksum(room.golden)
    assert is_change(room.storage.proven(room.pairs(1))[room.seat(1).uuid]).original
    assert is_change(room.storage.witnessed(room.pairs(1))[room.seat(1).uuid]).original
    room.bench.write(room.seat(1), SIZE + 4 * MIB, STUDENT)
    assert not is_change(room.storage.proven(room.pairs(1))[room.seat(1).uuid]).original
    assert list(room.storage.rewound(room.pairs(1)).values()) == [None]
    assert room.seat(1).size_bytes == SIZE + 8 * MIB
    assert room.bench.read(room.seat(1), SIZE, 8 * MIB) == bytes(8 * MIB)
    assert is_change(room.storage.witnessed(room.pairs(1))[room.seat(1).uuid]).original


def test_grown_when_smaller_then_is_refused_and_when_the_same_then_nothing_happens(
    room: Room,
) -> None:
    with pytest.raises(BadInput):
        room.storage.grown(room.seat(1), SIZE - 4 * MIB)
    room.storage.grown(room.seat(1), SIZE)
    assert room.seat(1).size_bytes == SIZE


def test_relabelled_when_several_then_each_has_its_own_and_the_rest_keep_theirs(room: Room) -> None:
    room.vandalised(1)
    old = new_seat(1).labels
    wanted = {
        room.seat(1).uuid: old.but(baseline=room.golden.uuid, memory_bytes=MIB, template=""),
        room.seat(2).uuid: Labels(role=Role.SEAT, classroom="t", seat=2, network="bridge=br0"),
    }
    room.storage.relabelled(wanted, room.storage.observe())
    for number in (1, 2):
        assert room.seat(number).labels == wanted[room.seat(number).uuid]
    assert room.seat(3).labels == new_seat(3).labels
    assert room.bench.read(room.seat(1), AT, len(STUDENT)) == STUDENT


# removal


def test_removed_when_seats_and_golden_in_one_batch_then_all_are_gone(room: Room) -> None:
    volumes = [room.golden, room.seat(1), room.seat(2), room.seat(3)]
    assert dict(room.storage.removed(volumes)) == {volume.uuid: None for volume in volumes}
    assert not names(room.storage.observe()) & {"g", "s-01", "s-02", "s-03"}
    assert list(room.storage.removed(volumes[1:2]).values()) == [None]  # gone is gone


def test_removed_when_one_seat_then_the_others_stay_as_they_were(room: Room) -> None:
    room.vandalised(2)
    assert list(room.storage.removed([room.seat(1)]).values()) == [None]
    assert "s-01" not in names(room.storage.observe())
    assert room.bench.read(room.seat(2), AT, len(STUDENT)) == STUDENT
    assert room.checksum(room.seat(3)) == room.checksum(room.golden)


def test_removed_when_a_volume_is_foreign_then_only_that_one_stays(room: Room) -> None:
    room.bench.foreign("theirs")
    theirs, ours = named(room.storage, "theirs"), room.seat(1)
    assert (theirs.labels, theirs.fault) == (None, None)
    faults = room.storage.removed([theirs, ours])
    assert isinstance(faults[theirs.uuid], NotOurs)
    assert faults[ours.uuid] is None
    assert "theirs" in names(room.storage.observe())
    assert "s-01" not in names(room.storage.observe())


def test_removed_when_the_name_is_anothers_by_now_then_that_one_stays(room: Room) -> None:
    old = room.seat(1)
    room.storage.removed([old])
    room.storage.seats_created(room.golden, [new_seat(1)])
    room.vandalised(1)
    assert room.seat(1).uuid != old.uuid
    assert list(room.storage.removed([old]).values()) == [None]
    assert room.bench.read(room.seat(1), AT, len(STUDENT)) == STUDENT


def test_removed_when_only_the_golden_then_no_seat_of_it_is_lost(room: Room) -> None:
    room.vandalised(1)
    room.storage.removed([room.golden])
    assert room.bench.read(room.seat(1), AT, len(STUDENT)) == STUDENT
    assert room.bench.read(room.seat(1), MIB, len(ORIGINAL)) == ORIGINAL


# the rest


def test_space_checked_when_it_fits_or_not_then_passes_or_says_both_numbers(bench: Bench) -> None:
    bench.storage.golden_created(new_golden())
    bench.storage.space_checked(MIB, "One seat")
    with pytest.raises(NoSpace, match=r"A lecture hall.*2000 TiB.*[KMGT]iB"):
        bench.storage.space_checked(2000 * TIB, "A lecture hall")


def test_observe_when_by_another_driver_then_sees_the_same(room: Room) -> None:
    room.vandalised(2)
    room.storage.grown(room.seat(1), SIZE + 4 * MIB)
    room.bench.foreign("theirs")
    again = room.bench.again()
    assert again.observe() == room.storage.observe()
    assert again.place == room.storage.place
    assert list(again.rewound(room.pairs(1, 2)).values()) == [None, None]
    assert room.checksum(room.seat(2)) == room.checksum(room.golden)


def test_opened_when_read_by_qemu_img_then_has_the_content(room: Room, tmp_path: Path) -> None:
    room.vandalised(1)
    form = room.storage.capabilities.disk_format
    with room.storage.opened(room.seat(1)) as path:
        copied = tmp_path / "raw"
        subprocess.run(["qemu-img", "convert", "-f", form, "-O", "raw", path, copied], check=True)
    data = copied.read_bytes()
    assert data[AT : AT + len(STUDENT)] == STUDENT
    assert data[MIB : MIB + len(ORIGINAL)] == ORIGINAL
