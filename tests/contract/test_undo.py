"""What every storage backend promises of an undo; those that cannot say so and change nothing."""

from __future__ import annotations

from pizarra.errors import PizarraError, Unsupported
from pizarra.storage.kinds import Kind
from tests.contract.test_storage import Room, bench, is_change, kept, kind, room

__all__ = ["bench", "kept", "kind", "room"]  # fixtures


def test_kept_when_rewound_so_then_put_back_exchanges_it_and_back_again(room: Room) -> None:
    room.vandalised(1, 2)
    keeps = room.storage.capabilities.undo
    assert not room.storage.volumes_with_undo(list(room.seats.values()))
    assert set(room.storage.rewind(room.pairs(1, 2), keep=True).values()) == {None}
    seats = [room.seats[1], room.seats[2]]
    assert room.storage.volumes_with_undo(seats) == (
        {seat.uuid for seat in seats} if keeps else set()
    )
    assert room.is_original(1)
    faults = room.storage.swap_with_undo([room.seats[1]])
    if not keeps:
        assert isinstance(faults[room.seats[1].uuid], Unsupported)
        assert room.is_original(1)
        return
    assert faults == {room.seats[1].uuid: None}
    assert room.is_vandalised(1)
    assert room.is_original(2)
    assert not is_change(room.storage.diff(room.pairs(1))[room.seats[1].uuid]).original
    assert room.storage.repair_after_crash(list(room.seats.values())) in ((), [])
    assert room.storage.swap_with_undo([room.seats[1]]) == {room.seats[1].uuid: None}
    assert room.is_original(1)
    assert is_change(room.storage.diff(room.pairs(1))[room.seats[1].uuid]).original


def test_kept_when_rewound_again_then_only_the_last_or_none_is(room: Room) -> None:
    if not room.storage.capabilities.undo:
        assert room.storage.discard_undo([room.seats[1]]) == {room.seats[1].uuid: None}
        return
    room.vandalised(1)
    room.storage.rewind(room.pairs(1), keep=True)
    room.storage.rewind(room.pairs(1))
    assert room.storage.volumes_with_undo([room.seats[1]]) == {room.seats[1].uuid}
    room.storage.rewind(room.pairs(1), keep=True)  # it was original: that is what is kept now
    room.storage.swap_with_undo([room.seats[1]])
    assert room.is_original(1)
    room.storage.rewind(room.pairs(1), keep=False)
    assert not room.storage.volumes_with_undo([room.seats[1]])
    faults = room.storage.swap_with_undo([room.seats[1]])
    assert isinstance(faults[room.seats[1].uuid], PizarraError)
    assert room.is_original(1)


def test_given_back_when_an_earlier_undo_had_to_go_then_nothing_is_left_to_settle(
    room: Room,
) -> None:
    seats = list(room.seats.values())
    for _ in range(2):
        room.vandalised(1, 2)
        room.storage.rewind(room.pairs(1, 2), keep=room.storage.capabilities.undo)
    for _ in range(2):
        assert set(room.storage.reclaim_space(seats).values()) == {None}
    assert room.storage.repair_after_crash(seats) in ((), [])
    if room.storage.capabilities.undo:
        room.storage.swap_with_undo(seats[:1])
        assert room.is_vandalised(1)


def test_given_back_when_a_crash_left_it_then_settled_does_it_once(room: Room) -> None:
    seats = list(room.seats.values())
    for _ in range(2):
        room.vandalised(1)
        room.storage.rewind(room.pairs(1), keep=room.storage.capabilities.undo)
    is_later = room.golden.kind in (Kind.LVM_THIN, Kind.MEMORY)  # else at once
    assert len(room.storage.repair_after_crash(seats)) == is_later
    assert room.storage.repair_after_crash(seats) in ((), [])
    assert room.is_original(1)
    if room.storage.capabilities.undo:
        room.storage.swap_with_undo(seats[:1])
        assert room.is_vandalised(1)


def test_rewound_when_nothing_is_to_be_kept_then_what_was_kept_before_stays(room: Room) -> None:
    seats = list(room.seats.values())
    if not room.storage.capabilities.undo:
        return
    room.vandalised(1)
    room.storage.rewind(room.pairs(1), keep=True)
    for _ in range(2):
        room.storage.rewind(room.pairs(1))
        assert room.is_original(1)
    room.storage.reclaim_space(seats)
    room.storage.swap_with_undo(seats[:1])
    assert room.is_vandalised(1)


def test_kept_when_its_seat_is_removed_then_nothing_is_left_behind(room: Room) -> None:
    room.vandalised(3)
    room.storage.rewind(room.pairs(3), keep=True)
    assert room.storage.remove([room.seats[3]]) == {room.seats[3].uuid: None}
    assert room.storage.repair_after_crash([room.seats[1], room.seats[2]]) in ((), [])
