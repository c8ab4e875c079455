"""What every storage backend promises of an undo; those that cannot say so and change nothing."""

from __future__ import annotations

from collections.abc import Sequence

from pizarra.errors import PizarraError
from pizarra.model.facts import Volume
from pizarra.model.undo_slot import UndoSlot
from pizarra.storage.interface import PRESENT, RepairStore, UndoStore, UndoSwap
from pizarra.storage.kinds import Kind
from tests.contract.test_storage import Room, bench, is_change, kind, room, shared

__all__ = ["bench", "kind", "room", "shared"]  # fixtures

A, B = UndoSlot


def undo_in(room: Room, slot: UndoSlot, *numbers: int) -> dict[str, UndoSlot]:
    return {room.seats[number].uuid: slot for number in numbers}


def rewind(room: Room, slot: UndoSlot, *numbers: int) -> None:
    """What the seats have goes to the slot; where nothing can be kept, for good."""
    undo = undo_in(room, slot, *numbers) if room.storage.capabilities.undo else {}
    assert set(room.storage.rewind(room.pairs(*numbers), undo=undo).values()) == {None}


def store(room: Room) -> UndoStore:
    assert isinstance(room.storage, UndoStore)
    return room.storage


def repair(
    room: Room, seats: Sequence[Volume], records: frozenset[str] = frozenset()
) -> Sequence[str]:
    """What there was to repair, in words. Where nothing ever is, the backend is no RepairStore."""
    if not isinstance(room.storage, RepairStore):
        return ()
    return room.storage.repair_after_crash(seats, in_records=lambda: records)


def swap(room: Room, number: int, kept: UndoSlot) -> PizarraError | None:
    one = UndoSwap(volume=room.seats[number], kept=kept, to=kept.other)
    return store(room).swap_with_undo([one])[room.seats[number].uuid]


def slots(room: Room, number: int) -> set[UndoSlot]:
    seat = room.seats[number]
    found = store(room).undo_slots([seat]) if room.storage.capabilities.undo else {}
    return {*found.get(seat.uuid, ())}


def test_rewind_when_a_slot_is_named_then_a_swap_gives_the_content_back_and_again(
    room: Room,
) -> None:
    room.vandalise(1, 2)
    keeps = room.storage.capabilities.undo
    assert not slots(room, 1)
    rewind(room, A, 1, 2)
    assert slots(room, 1) == slots(room, 2) == ({A} if keeps else set())
    assert room.is_original(1)
    if not keeps:
        return
    assert swap(room, 1, A) is None
    assert (slots(room, 1), slots(room, 2)) == ({B}, {A})
    assert room.is_vandalised(1)
    assert room.is_original(2)
    assert not is_change(room.storage.diff(room.pairs(1))[room.seats[1].uuid]).original
    assert swap(room, 1, A) is None, "it was done: nothing changes"
    assert room.is_vandalised(1)
    assert repair(room, list(room.seats.values())) in ((), [])
    assert swap(room, 1, B) is None
    assert room.is_original(1)
    assert is_change(room.storage.diff(room.pairs(1))[room.seats[1].uuid]).original


def test_rewind_when_the_slot_is_filled_then_it_stays_as_it_is(room: Room) -> None:
    """So a rewind that was cut off is done again, and what booted in between goes for good."""
    if not room.storage.capabilities.undo:
        return
    room.vandalise(1)
    rewind(room, A, 1)
    room.bench.write(room.seats[1], 0, bytes(4096))
    rewind(room, A, 1)
    assert room.is_original(1)
    store(room).reclaim_space([room.seats[1]])
    assert swap(room, 1, A) is None
    assert room.is_vandalised(1)


def test_save_when_done_before_a_rewind_then_that_content_is_what_comes_back(room: Room) -> None:
    """So all disks of a seat are saved before one of them changes."""
    if not room.storage.capabilities.undo:
        return
    room.vandalise(1, 2)
    both = {room.seats[1]: A, room.seats[2]: A}
    for _ in range(2):
        assert set(store(room).save_undo(both).values()) == {None}
    assert slots(room, 1) == slots(room, 2) == {A}
    assert room.is_vandalised(1)
    rewind(room, A, 1)
    assert room.is_original(1)
    assert room.is_vandalised(2)
    assert swap(room, 1, A) is None
    assert room.is_vandalised(1)


def test_rewind_when_the_other_slot_is_named_then_both_hold_something_until_it_is_reclaimed(
    room: Room,
) -> None:
    if not room.storage.capabilities.undo:
        return
    room.vandalise(1)
    rewind(room, A, 1)
    rewind(room, B, 1)  # it was original: that is what B holds now
    assert slots(room, 1) == {A, B}
    keep = undo_in(room, B, 1)
    for _ in range(2):
        assert set(store(room).reclaim_space([room.seats[1]], keep=keep).values()) == {None}
        assert slots(room, 1) == {B}
    assert swap(room, 1, B) is None
    assert room.is_original(1)
    assert store(room).discard_undo([room.seats[1]]) == {room.seats[1].uuid: None}
    assert not slots(room, 1)
    assert isinstance(swap(room, 1, A), PizarraError)
    assert room.is_original(1)


def test_reclaim_when_nothing_was_to_be_kept_then_nothing_is_left_to_repair(room: Room) -> None:
    seats = list(room.seats.values())
    if not room.storage.capabilities.undo:
        return
    for _ in range(2):
        room.vandalise(1, 2)
        assert set(room.storage.rewind(room.pairs(1, 2)).values()) == {None}
    for _ in range(2):
        assert set(store(room).reclaim_space(seats).values()) == {None}
    assert repair(room, seats) in ((), [])


def test_reclaim_when_a_crash_left_it_then_repair_does_it_once(room: Room) -> None:
    seats = list(room.seats.values())
    room.vandalise(1)
    room.storage.rewind(room.pairs(1))
    is_later = room.golden.kind in (Kind.LVM_THIN, Kind.MEMORY)  # else at once
    assert len(repair(room, seats)) == is_later
    assert repair(room, seats) in ((), [])
    assert room.is_original(1)


def test_rewind_when_no_slot_is_named_then_what_was_kept_before_stays(room: Room) -> None:
    if not room.storage.capabilities.undo:
        return
    room.vandalise(1)
    rewind(room, A, 1)
    for _ in range(2):
        room.storage.rewind(room.pairs(1))
        assert room.is_original(1)
    store(room).reclaim_space(list(room.seats.values()))
    assert swap(room, 1, A) is None
    assert room.is_vandalised(1)


def test_undo_when_its_seat_is_removed_then_nothing_is_left_behind(room: Room) -> None:
    room.vandalise(3)
    rewind(room, A, 3)
    assert room.storage.remove([room.seats[3]]) == {room.seats[3].uuid: None}
    assert repair(room, [room.seats[1], room.seats[2]]) in ((), [])


def test_repair_when_a_record_explains_a_saved_content_then_it_stays_else_it_goes(
    room: Room,
) -> None:
    """An operation saves all disks of a seat first: killed then, its slots are all that tells."""
    if not room.storage.capabilities.undo:
        return
    room.vandalise(1)
    assert set(store(room).save_undo({room.seats[1]: A}).values()) == {None}
    every = list(room.seats.values())
    assert repair(room, every, frozenset({room.seats[1].uuid})) in ((), [])
    assert slots(room, 1) == {A}
    assert repair(room, every)
    assert slots(room, 1) == set()
    assert room.is_vandalised(1)


def ids(room: Room, number: int) -> dict[str, str]:
    seat = room.seats[number]
    return (
        dict(store(room).content_ids([seat])[seat.uuid]) if room.storage.capabilities.undo else {}
    )


def test_content_ids_when_a_rewind_or_a_swap_made_a_content_then_its_word_is_a_new_one(
    room: Room,
) -> None:
    if not room.storage.capabilities.undo:
        return
    room.vandalise(1)
    rewind(room, A, 1)
    first = ids(room, 1)
    assert first.keys() == {PRESENT, str(A)}
    assert ids(room, 1) == first, "nothing was done"
    assert swap(room, 1, A) is None
    second = ids(room, 1)
    assert second.keys() == {PRESENT, str(B)}
    room.vandalise(1)
    assert ids(room, 1)[B] == second[B], "who writes to a disk does not write to its slots"
    assert swap(room, 1, B) is None
    third = ids(room, 1)
    assert third.keys() == {PRESENT, str(A)}
    assert len({one[PRESENT] for one in (first, second, third)}) == 3
    assert third[A] != first[A]
    assert set(store(room).discard_undo([room.seats[1]]).values()) == {None}
    assert ids(room, 1).keys() == {PRESENT}
