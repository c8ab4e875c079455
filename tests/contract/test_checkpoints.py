"""What every storage backend promises of checkpoints; those that have none say so."""

from __future__ import annotations

from dataclasses import replace

from pizarra.errors import AlreadyExists, NotOurs
from pizarra.model.facts import Volume
from pizarra.model.labels import CheckpointLabels, SeatLabels
from pizarra.storage.interface import (
    CheckpointStore,
    Faults,
    NewCheckpoint,
    NewVolume,
    RewindTarget,
)
from tests.contract.test_storage import Room, bench, is_change, kind, room, shared, volume_named

__all__ = ["bench", "kind", "room", "shared"]  # fixtures


def new(seat: Volume, classroom: str = "") -> NewVolume[CheckpointLabels]:
    assert isinstance(seat.labels, SeatLabels)
    labels = CheckpointLabels(
        checkpoint="lesson",
        saved_at=1,
        classroom=seat.labels.classroom,
        seat=seat.labels.seat,
        template=seat.labels.template,
        version=seat.labels.version,
        baseline=seat.labels.baseline,
    )
    if classroom:
        labels = replace(labels, classroom=classroom)
    return NewVolume(
        labels=labels, size_bytes=seat.size_bytes, name=f"{seat.name}.checkpoint.lesson"
    )


def save(room: Room, *new: NewCheckpoint) -> Faults:
    assert isinstance(room.storage, CheckpointStore)
    return room.storage.create_checkpoints(new)


def test_checkpoint_when_restored_then_the_seat_has_that_state_and_the_proof_says_so(
    room: Room,
) -> None:
    seat, storage = room.seats[1], room.storage
    room.vandalise(1)
    if not storage.capabilities.checkpoints:
        return
    faults = save(room, (seat, new(seat)), (room.seats[2], new(room.seats[2])))
    assert set(faults.values()) == {None}
    saved = volume_named(storage, f"{seat.name}.checkpoint.lesson")
    assert (saved.labels, saved.read_only) == (new(seat).labels, True)
    storage.rewind(room.pairs(1))
    assert room.is_original(1)
    pair = RewindTarget(volume=seat, source=saved)
    assert not is_change(storage.diff([pair])[seat.uuid]).original
    assert storage.rewind([pair]) == {seat.uuid: None}
    assert room.is_vandalised(1)
    assert is_change(storage.diff([pair])[seat.uuid]).original
    assert not is_change(storage.diff(room.pairs(1))[seat.uuid]).original
    # of another seat: a hand-out
    handed = RewindTarget(volume=room.seats[3], source=saved)
    assert storage.rewind([handed]) == {room.seats[3].uuid: None}
    assert room.is_vandalised(3)
    # written to since: the checkpoint stays as it is
    room.bench.write(seat, 0, bytes(4096))
    assert not is_change(storage.diff([pair])[seat.uuid]).original
    assert storage.remove([saved]) == {saved.uuid: None}
    assert room.is_vandalised(1)
    storage.rewind(room.pairs(1, 3))
    assert room.is_original(1)
    assert room.is_original(3)


def test_checkpoint_when_of_another_classroom_then_the_seat_is_left_alone(room: Room) -> None:
    seat, storage = room.seats[1], room.storage
    if not storage.capabilities.checkpoints:
        return
    save(room, (room.seats[2], new(room.seats[2], classroom="other")))
    saved = volume_named(storage, f"{room.seats[2].name}.checkpoint.lesson")
    room.vandalise(1)
    faults = storage.rewind([RewindTarget(volume=seat, source=saved)])
    assert isinstance(faults[seat.uuid], NotOurs)
    assert room.is_vandalised(1)


def test_checkpoint_when_its_name_is_taken_then_the_first_stays(room: Room) -> None:
    seat, storage = room.seats[1], room.storage
    if not storage.capabilities.checkpoints:
        return
    save(room, (seat, new(seat)))
    first = volume_named(storage, f"{seat.name}.checkpoint.lesson")
    room.vandalise(1)
    faults = save(room, (seat, new(seat)))
    assert isinstance(faults[seat.uuid], AlreadyExists)
    assert volume_named(storage, f"{seat.name}.checkpoint.lesson").uuid == first.uuid
    storage.rewind([RewindTarget(volume=seat, source=first)])
    assert room.is_original(1)
