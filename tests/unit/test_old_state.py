"""What a Pizarra without a journal (commit ab156f6) left beside the disks is understood once."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pizarra.compute import domain_edit
from pizarra.engine.events import Noted
from pizarra.errors import Unsupported
from pizarra.model.facts import Seat
from pizarra.model.undo_slot import UndoSlot
from pizarra.service.context import Context
from pizarra.service.recover import recover
from pizarra.service.undo import undo
from tests.fixtures.kill_room import ORIGINAL, SEATS, KillRoom

WORK = b"week one"


@pytest.fixture
def nvram(own_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain_edit, "NVRAM_FOLDER", own_state / "nvram")
    (own_state / "nvram").mkdir()


def old_room(slot: UndoSlot, disks: tuple[str, ...] = ("vda",), *, has_nvram: bool) -> KillRoom:
    """A class that was reset; what that kept and noted is as the old version had it."""
    room = KillRoom(disks, has_nvram=has_nvram)
    for _ in range(1 + (slot is UndoSlot.B)):
        room.write(WORK, *SEATS)
        room.reset()
    for seat in seats(room):
        for volume in seat.volumes:
            note = room.context.host.undo_index.folder / volume.uuid
            assert note.read_text(encoding="ascii") == slot
            since = note.stat().st_mtime
            note.write_text("")
            os.utime(note, (since, since))
        folder = room.context.host.states.folder
        first = seat.volumes[0].uuid
        if has_nvram:
            (folder / f"{first}.undo-{slot}").rename(folder / f"{first}.undo")
    return room


def seats(room: KillRoom) -> tuple[Seat, ...]:
    return room.context.host.observe().classroom("net").seats


@pytest.mark.parametrize("is_recovered", [True, False])
@pytest.mark.parametrize("slot", UndoSlot)
@pytest.mark.usefixtures("nvram")
def test_undo_when_an_old_version_kept_it_then_it_is_given_back_with_the_firmware_state(
    slot: UndoSlot, is_recovered: bool
) -> None:
    room = old_room(slot, has_nvram=True)
    if is_recovered:
        assert room.recover().exit_status == 0
    assert room.undo().exit_status == 0
    assert room.contents() == {WORK}
    assert room.undo().exit_status == 0
    assert room.contents() == {ORIGINAL}
    left = {path.name for path in room.context.host.states.folder.iterdir()}
    assert not {name for name in left if name.endswith((".undo", ".new", ".now"))}


@pytest.mark.usefixtures("nvram")
def test_reset_when_an_old_version_kept_an_undo_then_the_new_one_takes_its_place() -> None:
    room = old_room(UndoSlot.A, has_nvram=True)
    room.write(b"week two", *SEATS)
    room.reset()
    room.undo()
    assert room.contents() == {b"week two"}


@pytest.mark.usefixtures("nvram")
def test_recover_when_an_old_version_was_cut_off_then_its_links_go_and_no_parts_are_mixed() -> None:
    room = old_room(UndoSlot.A, ("vda", "vdb"), has_nvram=True)
    first, second = seats(room)
    for volume in first.volumes:
        link = room.context.host.undo_index.folder / f"{volume.uuid}.under-way"
        link.symlink_to("reset golden 12")
    (room.context.host.states.folder / f"{first.volumes[0].uuid}.undo.new").mkdir()
    told: list[str] = []
    context = Context(
        room.context.host, lambda e: told.append(str(e)) if isinstance(e, Noted) else None
    )
    recover(context)
    assert told == ["net-01: its undo is dropped: a reset was cut off."]
    assert not list(room.context.host.undo_index.folder.glob("*.under-way"))
    with pytest.raises(Unsupported):
        undo(room.context, "net", [first.number])
    assert undo(room.context, "net", [second.number]).exit_status == 0
    assert room.content(second.number) == WORK


def test_recover_when_an_old_version_was_cut_off_in_one_disk_then_its_undo_stays() -> None:
    room = old_room(UndoSlot.A, has_nvram=False)
    (volume,) = seats(room)[0].volumes
    link = room.context.host.undo_index.folder / f"{volume.uuid}.under-way"
    link.symlink_to("reset golden -")
    recover(room.context)
    assert not link.is_symlink()
    assert undo(room.context, "net", [1]).exit_status == 0
    assert room.content(1) == WORK


def test_undo_when_an_old_note_is_too_old_then_it_is_dropped() -> None:
    room = old_room(UndoSlot.A, has_nvram=False)
    for note in room.context.host.undo_index.folder.iterdir():
        os.utime(note, (0, time.time() - 25 * 3600))
    with pytest.raises(Unsupported):
        undo(room.context, "net")
