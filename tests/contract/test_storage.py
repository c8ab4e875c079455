"""What every storage backend promises (storage/interface.py), held against each of them.

LVM's are among them where PIZARRA_LAB says that the volume group is nobody's: in the lab.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pizarra.errors import BadInput, NoSpace, NotOurs, PizarraError, Unsupported
from pizarra.model.facts import StorageFacts, StorageKind, Volume
from pizarra.model.labels import (
    BaselineLabels,
    FillingLabels,
    SeatLabels,
    TemplateLabels,
)
from pizarra.model.sizes import KIB, MIB, TIB
from pizarra.storage.content import checksum
from pizarra.storage.interface import AdoptionStore, Change, NewVolume, RewindTarget, Storage
from pizarra.storage.kinds import Kind
from tests.contract.storage_bench import Bench, MemoryBench
from tests.contract.storage_qcow2 import Qcow2Bench
from tests.contract.storage_raw_folder import RawFolderBench
from tests.fixtures.raw_folder import RAW_FOLDER

SIZE = 8 * MIB
AT = 4 * MIB  # where a student writes over what the teacher wrote
ORIGINAL = hashlib.shake_128(b"what the teacher wrote").digest(128 * KIB)
STUDENT = b"student!" * 8192
IN_LAB = os.environ.get("PIZARRA_LAB") == "1"
LVM = [Kind.LVM_THIN, Kind.LVM_THICK] if IN_LAB else []


@pytest.fixture(scope="module", params=[Kind.MEMORY, Kind.QCOW2, RAW_FOLDER, *LVM])
def kind(request: pytest.FixtureRequest) -> StorageKind:
    """All tests of one backend, then all of the next."""
    found: StorageKind = request.param
    return found


@pytest.fixture(scope="module")
def shared(kind: StorageKind) -> dict[str, Volume]:
    """The golden volume, from one test to the next where it survives: LVM takes its time."""
    assert kind
    return {}


def make_bench(kind: StorageKind, folder: Path) -> Bench:
    if kind is Kind.MEMORY:
        return MemoryBench()
    if kind is Kind.QCOW2:
        return Qcow2Bench(folder)
    if kind == RAW_FOLDER:
        return RawFolderBench(folder)
    from tests.contract.storage_lvm import LvmBench

    return LvmBench(kind)


@pytest.fixture
def bench(kind: StorageKind, tmp_path: Path) -> Bench:
    """An empty backend."""
    made = make_bench(kind, tmp_path / "store")
    made.clear(but="")
    return made


@dataclass(frozen=True)
class Room:
    """A sealed golden volume with content, and three seats on it."""

    bench: Bench
    golden: Volume
    seats: dict[int, Volume]

    @property
    def storage(self) -> Storage:
        return self.bench.storage

    def now(self, number: int) -> Volume:
        """The seat as it is observed by now."""
        return volume_named(self.storage, f"s-{number:02d}")

    def pairs(self, *numbers: int) -> list[RewindTarget]:
        return [RewindTarget(volume=self.seats[number], source=self.golden) for number in numbers]

    def vandalise(self, *numbers: int) -> None:
        for number in numbers:
            self.bench.write(self.seats[number], AT, STUDENT)

    def is_vandalised(self, number: int) -> bool:
        return self.bench.read(self.seats[number], AT, len(STUDENT)) == STUDENT

    def is_original(self, number: int) -> bool:
        """As far as the teacher wrote, and by checksum."""
        seat = self.seats[number]
        return (
            self.bench.read(seat, AT, len(ORIGINAL)) == ORIGINAL
            and self.bench.read(seat, MIB, len(ORIGINAL)) == ORIGINAL
            and checksum(self.storage, seat, SIZE) == checksum(self.storage, self.golden, SIZE)
        )


def new_golden(name: str = "g") -> NewVolume:
    labels = FillingLabels(becoming=TemplateLabels(template="net", version=1))
    return NewVolume(labels=labels, size_bytes=SIZE, name=name)


def new_seat(number: int, golden: Volume) -> NewVolume[SeatLabels]:
    labels = SeatLabels(
        template="net",
        version=1,
        classroom="s",
        seat=number,
        baseline=golden.uuid,
    )
    return NewVolume(labels=labels, size_bytes=SIZE, name=f"s-{number:02d}")


def seal(bench: Bench, name: str = "g") -> Volume:
    golden = bench.storage.create_golden(new_golden(name))
    bench.write(golden, MIB, ORIGINAL)
    bench.write(golden, AT, ORIGINAL)
    return bench.storage.seal_golden(golden, TemplateLabels(template="net", version=1))


def volume_named(storage: Storage, name: str) -> Volume:
    (found,) = (volume for volume in storage.observe().volumes if volume.name == name)
    return found


def names(facts: StorageFacts) -> set[str]:
    return {volume.name for volume in facts.volumes}


def is_change(value: Change | PizarraError) -> Change:
    assert isinstance(value, Change), value
    return value


@pytest.fixture
def room(kind: StorageKind, shared: dict[str, Volume], tmp_path: Path) -> Room:
    bench = make_bench(kind, tmp_path / "store")
    bench.clear(but="g")
    golden = next((v for v in bench.storage.observe().volumes if v == shared.get("g")), None)
    if golden is None:
        bench.clear(but="")
        golden = shared["g"] = seal(bench)
    bench.storage.create_seats(golden, [new_seat(number, golden) for number in (1, 2, 3)])
    seen = {volume.name: volume for volume in bench.storage.observe().volumes}
    return Room(bench, golden, {number: seen[f"s-{number:02d}"] for number in (1, 2, 3)})


# golden


def test_observe_when_nothing_was_made_then_shows_no_volume_of_ours(bench: Bench) -> None:
    facts = bench.storage.observe()
    assert [volume for volume in facts.volumes if volume.labels or volume.fault] == []
    assert all(pool.free_bytes <= pool.size_bytes for pool in facts.pools)


def test_golden_when_created_then_is_blank_filling_and_writable(bench: Bench) -> None:
    golden = bench.storage.create_golden(new_golden())
    assert golden.labels == new_golden().labels
    assert golden.size_bytes == SIZE
    assert golden.uuid
    assert not golden.read_only
    assert golden == volume_named(bench.storage, "g")
    if bench.storage.capabilities.new_is_zero:
        assert bench.read(golden, 0, SIZE) == bytes(SIZE)
    bench.write(golden, AT, STUDENT)
    assert bench.read(golden, AT, len(STUDENT)) == STUDENT


def test_golden_when_its_name_is_taken_then_is_refused_and_the_first_stays(bench: Bench) -> None:
    golden = bench.storage.create_golden(new_golden())
    bench.write(golden, AT, STUDENT)
    with pytest.raises(PizarraError):
        bench.storage.create_golden(new_golden())
    assert volume_named(bench.storage, "g").uuid == golden.uuid
    assert bench.read(golden, AT, len(STUDENT)) == STUDENT


def test_golden_when_sealed_then_is_read_only_and_labelled_under_the_same_uuid(
    bench: Bench,
) -> None:
    before = bench.storage.create_golden(new_golden())
    labels = TemplateLabels(template="net", version=1, warm=True)
    golden = bench.storage.seal_golden(before, labels)
    assert (golden.labels, golden.read_only, golden.uuid) == (labels, True, before.uuid)
    assert golden == volume_named(bench.storage, "g")


# seats


def test_seats_when_created_then_are_original_and_labelled(room: Room) -> None:
    for number in (1, 2, 3):
        seat = room.seats[number]
        assert seat.labels == new_seat(number, room.golden).labels
        assert (seat.size_bytes, seat.read_only, seat.fault) == (SIZE, False, None)
        assert room.is_original(number)
    changes = room.storage.diff(room.pairs(1, 2, 3))
    assert [is_change(change).original for change in changes.values()] == [True] * 3
    assert changes == room.storage.diff(room.pairs(1, 2, 3), independently=True)


def test_batches_when_empty_then_nothing_happens(room: Room) -> None:
    room.storage.create_seats(room.golden, [])
    room.storage.set_labels({}, room.storage.observe())
    assert room.storage.rewind([]) == {}
    assert room.storage.diff([]) == {}
    assert room.storage.diff([], independently=True) == {}
    assert room.storage.remove([]) == {}


def test_seat_when_written_then_neither_golden_nor_siblings_see_it(room: Room) -> None:
    room.vandalise(1)
    assert room.is_vandalised(1)
    assert room.is_original(2)
    assert room.bench.read(room.golden, AT, len(ORIGINAL)) == ORIGINAL


def test_proof_when_one_seat_is_written_then_both_ways_say_so_of_it_alone(room: Room) -> None:
    room.vandalise(2)
    one, two, _ = (seat.uuid for seat in room.seats.values())
    for changes in (
        room.storage.diff(room.pairs(1, 2)),
        room.storage.diff(room.pairs(1, 2), independently=True),
    ):
        assert is_change(changes[one]).original
        assert is_change(changes[two]).changed_bytes >= len(STUDENT)


def test_proof_when_the_seat_is_gone_then_fails_for_it_alone(room: Room) -> None:
    room.bench.lose(room.seats[2])
    one, two, _ = (seat.uuid for seat in room.seats.values())
    for changes in (
        room.storage.diff(room.pairs(1, 2)),
        room.storage.diff(room.pairs(1, 2), independently=True),
    ):
        assert is_change(changes[one]).original
        assert isinstance(changes[two], PizarraError)


def test_checksum_when_taken_then_is_of_the_raw_content(room: Room) -> None:
    room.vandalise(1)
    raw = room.bench.read(room.seats[1], 0, SIZE)
    for length in (SIZE, MIB + 64 * KIB):
        expected = hashlib.sha256(raw[:length]).hexdigest()
        assert checksum(room.storage, room.seats[1], length) == expected


# rewound


def test_rewound_when_seats_were_written_then_are_as_the_golden_and_keep_who_they_are(
    room: Room,
) -> None:
    room.vandalise(1, 2)
    uuids = [room.seats[number].uuid for number in (1, 2)]
    assert dict(room.storage.rewind(room.pairs(1, 2))) == dict.fromkeys(uuids)
    for number in (1, 2):
        assert room.is_original(number)
        now, before = room.now(number), room.seats[number]
        assert (now.uuid, now.labels, now.path) == (before.uuid, before.labels, before.path)
    changes = room.storage.diff(room.pairs(1, 2))
    assert [is_change(change).changed_bytes for change in changes.values()] == [0, 0]
    assert changes == room.storage.diff(room.pairs(1, 2), independently=True)


def test_rewound_when_done_again_then_is_as_well(room: Room) -> None:
    room.vandalise(1)
    for _ in range(2):
        assert list(room.storage.rewind(room.pairs(1)).values()) == [None]
        assert room.is_original(1)
    room.vandalise(1)
    assert room.is_vandalised(1)


def test_rewound_when_one_seat_is_another_by_now_then_only_that_one_is_left_alone(
    room: Room,
) -> None:
    room.vandalise(1, 2)
    good, other = room.pairs(1, 2)
    other = replace(other, volume=replace(other.volume, uuid=room.golden.uuid[::-1]))
    faults = room.storage.rewind([other, good])
    assert isinstance(faults[other.volume.uuid], NotOurs)
    assert faults[good.volume.uuid] is None
    assert room.is_original(1)
    assert room.is_vandalised(2)


def test_rewound_when_labels_name_another_baseline_then_only_that_seat_is_left_alone(
    room: Room,
) -> None:
    room.vandalise(1, 2)
    labels = replace(new_seat(2, room.golden).labels, baseline=room.seats[3].uuid)
    room.storage.set_labels({room.seats[2].uuid: labels}, room.storage.observe())
    other = RewindTarget(volume=room.now(2), source=room.golden)
    faults = room.storage.rewind([other, *room.pairs(1)])
    assert isinstance(faults[other.volume.uuid], NotOurs)
    assert faults[room.seats[1].uuid] is None
    assert room.is_vandalised(2)


def test_rewound_when_one_seat_is_gone_then_the_others_are_done(room: Room) -> None:
    room.vandalise(1, 2, 3)
    room.bench.lose(room.seats[2])
    faults = room.storage.rewind(room.pairs(1, 2, 3))
    assert isinstance(faults[room.seats[2].uuid], PizarraError)
    for number in (1, 3):
        assert faults[room.seats[number].uuid] is None
        assert room.is_original(number)


def test_rewound_when_one_baseline_is_gone_then_the_others_are_done(room: Room) -> None:
    second = seal(room.bench, "g2")
    room.storage.create_seats(second, [new_seat(9, second)])
    room.seats[9] = room.now(9)
    room.vandalise(1, 9)
    lost = RewindTarget(volume=room.seats[9], source=second)
    room.bench.lose(second)
    faults = room.storage.rewind([lost, *room.pairs(1)])
    assert isinstance(faults[lost.volume.uuid], PizarraError)
    assert faults[room.seats[1].uuid] is None
    assert room.is_original(1)
    # what cannot be put back is not taken away
    assert not room.bench.seats_outlive_golden or room.is_vandalised(9)


def test_rewound_when_the_disk_is_held_open_then_swaps_under_it_or_leaves_it_alone(
    room: Room,
) -> None:
    room.vandalise(1)
    with room.bench.holding(room.seats[1]) as read:
        assert read(AT, len(STUDENT)) == STUDENT
        (fault,) = room.storage.rewind(room.pairs(1)).values()
        if room.storage.capabilities.hot_reset:
            assert fault is None
            assert read(AT, len(ORIGINAL)) == ORIGINAL
        else:
            assert isinstance(fault, PizarraError)
            assert read(AT, len(STUDENT)) == STUDENT
    assert list(room.storage.rewind(room.pairs(1)).values()) == [None]
    assert room.is_original(1)


# growth, labels, adoption


def test_grown_when_larger_then_new_room_is_blank_and_a_rewind_keeps_the_size(room: Room) -> None:
    if not room.bench.seats_grow:
        with pytest.raises(Unsupported):
            room.storage.grow(room.seats[1], 2 * SIZE)
        assert room.now(1).size_bytes == SIZE
        return
    room.storage.grow(room.seats[1], 2 * SIZE)
    grown = room.now(1)
    assert grown.size_bytes == 2 * SIZE
    assert room.is_original(1)
    for changes in (
        room.storage.diff(room.pairs(1)),
        room.storage.diff(room.pairs(1), independently=True),
    ):
        assert is_change(changes[grown.uuid]).original
    room.bench.write(grown, SIZE + AT, STUDENT)
    pair = RewindTarget(volume=grown, source=room.golden)
    assert not is_change(room.storage.diff([pair])[grown.uuid]).original
    assert list(room.storage.rewind([pair]).values()) == [None]
    assert room.now(1).size_bytes == 2 * SIZE
    assert room.bench.read(grown, SIZE, SIZE) == bytes(SIZE)
    assert is_change(room.storage.diff([pair], independently=True)[grown.uuid]).original


def test_grown_when_smaller_then_is_refused_and_when_the_same_then_nothing_happens(
    room: Room,
) -> None:
    with pytest.raises(BadInput):
        room.storage.grow(room.seats[1], SIZE - 4 * MIB)
    if room.bench.seats_grow:
        room.storage.grow(room.seats[1], SIZE)
    assert room.now(1).size_bytes == SIZE


def test_relabelled_when_several_then_each_has_its_own_and_the_rest_keep_theirs(room: Room) -> None:
    room.vandalise(1)
    old = new_seat(1, room.golden).labels
    wanted = {
        room.seats[1].uuid: replace(old, seat=11, content_version=3, template=""),
        room.seats[2].uuid: SeatLabels(classroom="t", seat=2, machine="router"),
    }
    room.storage.set_labels(wanted, room.storage.observe())
    for number in (1, 2):
        assert room.now(number).labels == wanted[room.seats[number].uuid]
    assert room.now(3) == room.seats[3]
    assert room.is_vandalised(1)


def test_baseline_when_a_volume_is_adopted_then_a_rewind_brings_that_state_back(
    room: Room,
) -> None:
    room.bench.foreign("theirs")
    theirs = volume_named(room.storage, "theirs")
    labels = SeatLabels(classroom="s", seat=1)
    new = NewVolume(labels=BaselineLabels(of=labels), size_bytes=SIZE, name="theirs-0")
    if not isinstance(room.storage, AdoptionStore):
        assert room.bench.adopts_as is None
        return
    assert room.bench.adopts_as is not None
    assert room.storage.is_path_of(theirs, str(theirs.path))
    assert not room.storage.is_path_of(theirs, str(room.seats[1].path))
    room.bench.write(theirs, AT, ORIGINAL)
    baseline = room.storage.create_baseline(theirs, new)
    labels = replace(labels, baseline=baseline.uuid, reset_method=room.bench.adopts_as)
    room.storage.set_labels({theirs.uuid: labels}, room.storage.observe())
    room.bench.write(theirs, AT, STUDENT)
    for _ in range(2):
        seat = volume_named(room.storage, "theirs")
        assert (seat.uuid, seat.labels) == (theirs.uuid, labels)
        pair = RewindTarget(volume=seat, source=volume_named(room.storage, "theirs-0"))
        assert list(room.storage.rewind([pair]).values()) == [None]
        assert room.bench.read(seat, AT, len(ORIGINAL)) == ORIGINAL


# removal


def test_removed_when_one_seat_then_the_others_stay_as_they_were(room: Room) -> None:
    room.vandalise(2)
    assert list(room.storage.remove([room.seats[1]]).values()) == [None]
    assert "s-01" not in names(room.storage.observe())
    assert room.is_vandalised(2)
    assert room.is_original(3)


def test_removed_when_a_volume_is_foreign_then_only_that_one_stays(room: Room) -> None:
    room.bench.foreign("theirs")
    theirs, ours = volume_named(room.storage, "theirs"), room.seats[1]
    assert (theirs.labels, theirs.fault) == (None, None)
    faults = room.storage.remove([theirs, ours])
    assert isinstance(faults[theirs.uuid], NotOurs)
    assert faults[ours.uuid] is None
    assert "theirs" in names(room.storage.observe())
    assert "s-01" not in names(room.storage.observe())


def test_removed_when_the_name_is_anothers_by_now_then_that_one_stays(room: Room) -> None:
    old = room.seats[1]
    room.storage.remove([old])
    room.storage.create_seats(room.golden, [new_seat(1, room.golden)])
    room.seats[1] = room.now(1)
    room.vandalise(1)
    assert room.seats[1].uuid != old.uuid
    assert list(room.storage.remove([old]).values()) == [None]
    assert room.is_vandalised(1)


def test_removed_when_only_the_golden_then_no_seat_of_it_is_lost(room: Room) -> None:
    room.vandalise(1)
    room.storage.remove([room.golden])
    assert room.is_vandalised(1)
    assert room.bench.read(room.seats[1], MIB, len(ORIGINAL)) == ORIGINAL


def test_removed_when_seats_and_golden_in_one_batch_then_all_are_gone(room: Room) -> None:
    volumes = [room.golden, *room.seats.values()]
    assert dict(room.storage.remove(volumes)) == {volume.uuid: None for volume in volumes}
    assert not names(room.storage.observe()) & {"g", "s-01", "s-02", "s-03"}
    assert list(room.storage.remove(volumes[1:2]).values()) == [None]  # gone is gone


# the rest


def test_space_checked_when_it_fits_or_not_then_passes_or_says_both_numbers(room: Room) -> None:
    room.storage.check_space(MIB, "One seat")
    with pytest.raises(NoSpace, match=r"A lecture hall.*2000 TiB.*[KMGT]iB"):
        room.storage.check_space(2000 * TIB, "A lecture hall")


def test_observe_when_by_another_driver_then_sees_the_same(room: Room) -> None:
    room.vandalise(2)
    room.bench.foreign("theirs")
    again = room.bench.again()
    seen, as_before = again.observe(), room.storage.observe()
    assert (seen.volumes, seen.records) == (as_before.volumes, as_before.records)
    assert again.place == room.storage.place
    assert list(again.rewind(room.pairs(1, 2)).values()) == [None, None]
    assert room.is_original(2)
