"""What is particular to qcow2 files: sidecars, damage, twins, what stands on what."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pizarra.errors import AlreadyExists, BadInput, Busy, NotOurs, PizarraError, StorageFault
from pizarra.model.facts import Volume
from pizarra.model.labels import SeatLabels, TemplateLabels
from pizarra.model.sizes import KIB, MIB
from pizarra.model.undo_slot import UndoSlot
from pizarra.storage.interface import Change, NewVolume, RewindTarget, UndoSwap
from pizarra.storage.qcow2 import undo as qcow2_undo
from pizarra.storage.qcow2.report import is_open_in_qemu
from pizarra.storage.qcow2.sidecar import sidecar_path
from pizarra.storage.qcow2.store import Qcow2Store
from tests.contract.storage_qcow2 import (
    create_image,
    holding_image,
    image_read,
    qemu_io,
    write_image,
)

SIZE = 8 * MIB
FILLING = NewVolume(name="net", size_bytes=SIZE, labels=TemplateLabels(template="net", version=1))
FIRST = NewVolume(name="a-01", size_bytes=SIZE, labels=SeatLabels(classroom="a", seat=1))
SECOND = NewVolume(name="a-02", size_bytes=SIZE, labels=SeatLabels(classroom="a", seat=2))


@pytest.fixture
def storage(tmp_path: Path) -> Qcow2Store:
    return Qcow2Store(tmp_path / "place")


@pytest.fixture
def golden(storage: Qcow2Store) -> Volume:
    made = storage.create_golden(FILLING)
    return storage.seal_golden(made, FILLING.labels)


@pytest.fixture
def pairs(storage: Qcow2Store, golden: Volume) -> list[RewindTarget]:
    storage.create_seats(golden, [based(one, golden) for one in (FIRST, SECOND)])
    return [RewindTarget(volume=named(storage, name), source=golden) for name in ("a-01", "a-02")]


def based(new: NewVolume[SeatLabels], golden: Volume) -> NewVolume[SeatLabels]:
    return replace(new, labels=replace(new.labels, baseline=golden.uuid))


def named(storage: Qcow2Store, name: str) -> Volume:
    (found,) = (volume for volume in storage.observe().volumes if volume.name == name)
    return found


def files(storage: Qcow2Store) -> list[str]:
    found = (path for path in storage.folder.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(storage.folder)) for path in found)


def test_folder_when_seats_were_made_then_has_plain_names_and_nothing_else(
    storage: Qcow2Store, pairs: list[RewindTarget]
) -> None:
    write_image(pairs[0].volume.path, 0, bytes(MIB))
    storage.rewind(pairs)
    assert files(storage) == [
        *("seats/a-01.qcow2", "seats/a-01.qcow2.json"),
        *("seats/a-02.qcow2", "seats/a-02.qcow2.json"),
        *("templates/net.qcow2", "templates/net.qcow2.json"),
    ]
    sidecar = json.loads((storage.folder / "seats/a-01.qcow2.json").read_text())
    assert sidecar == {
        **{"uuid": pairs[0].volume.uuid, "format": "2", "role": "seat"},
        **{"classroom": "a", "seat": "1"},
        "baseline": pairs[0].source.uuid,
    }
    assert pairs[0].volume.path.stat().st_mode & 0o777 == 0o600
    assert pairs[0].source.path.stat().st_mode & 0o777 == 0o400


def test_overlay_when_made_as_a_copy_then_is_byte_for_byte_what_qemu_img_makes(
    pairs: list[RewindTarget], tmp_path: Path
) -> None:
    backing = ("-F", "qcow2", "-b", str(pairs[0].source.path))
    own = create_image(tmp_path / "own", SIZE, *backing)
    assert pairs[1].volume.path.read_bytes() == own.read_bytes()
    assert pairs[1].volume.path.stat().st_blocks * 512 < 64 * KIB  # and its holes are holes
    assert pairs[1].volume.origin == "net"


# damage


def test_observe_when_a_sidecar_cannot_be_read_then_volume_has_a_fault_and_is_never_removed(
    storage: Qcow2Store, pairs: list[RewindTarget]
) -> None:
    sidecar = sidecar_path(pairs[0].volume.path)
    whole = sidecar.read_text()
    damaged = [b"{", b"[]", b"{}", b"\xff", whole.encode()[:-4], b'{"uuid": "x"}']
    damaged.append(whole.replace("seat", "sea").encode())
    for text in damaged:
        sidecar.write_bytes(text)
        volume = named(storage, "a-01")
        assert volume.labels is None
        assert volume.fault
        assert isinstance(storage.remove([volume])[volume.uuid], NotOurs)
        assert isinstance(storage.rewind(pairs)[pairs[0].volume.uuid], NotOurs)
    assert pairs[0].volume.path.exists()


def test_observe_when_only_the_sidecar_is_there_then_has_a_fault_and_a_rewind_mends_it(
    storage: Qcow2Store, pairs: list[RewindTarget]
) -> None:
    pairs[0].volume.path.unlink()
    lone = named(storage, "a-01")
    assert lone.labels == pairs[0].volume.labels
    assert lone.fault
    assert not lone.active
    assert isinstance(storage.diff(pairs)[lone.uuid], StorageFault)
    assert dict(storage.rewind(pairs)) == {pair.volume.uuid: None for pair in pairs}
    assert storage.diff(pairs)[lone.uuid] == Change(changed_bytes=0)
    assert named(storage, "a-01").fault is None


def test_removed_when_only_the_sidecar_is_there_then_it_is_gone(
    storage: Qcow2Store, pairs: list[RewindTarget]
) -> None:
    pairs[0].volume.path.unlink()
    lone = named(storage, "a-01")
    assert list(storage.remove([lone]).values()) == [None]
    assert "a-01" not in str(files(storage))


def test_observe_when_an_image_is_torn_then_has_a_fault_and_a_rewind_mends_it(
    storage: Qcow2Store, pairs: list[RewindTarget]
) -> None:
    for length in (0, 50, 100, 64 * KIB, 3 * 64 * KIB):
        with pairs[0].volume.path.open("r+b") as file:
            file.truncate(length)
        assert isinstance(storage.diff(pairs)[pairs[0].volume.uuid], StorageFault)
        assert list(storage.rewind(pairs).values()) == [None, None]
        assert storage.diff(pairs)[pairs[0].volume.uuid] == Change(changed_bytes=0)
    pairs[0].volume.path.write_bytes(b"torn")
    assert named(storage, "a-01").fault


def test_observe_when_somebody_copied_image_and_sidecar_then_both_have_a_fault(
    storage: Qcow2Store, pairs: list[RewindTarget]
) -> None:
    twin = pairs[0].volume.path.with_name("b-01.qcow2")
    shutil.copy(pairs[0].volume.path, twin)
    shutil.copy(sidecar_path(pairs[0].volume.path), sidecar_path(twin))
    assert [named(storage, name).fault is None for name in ("a-01", "b-01", "a-02")] == [
        *(False, False),
        True,
    ]
    assert list(storage.remove([named(storage, "b-01")]).values()) == [None]
    assert named(storage, "a-01").fault is None


def test_observe_when_files_are_strange_then_does_not_stumble(
    storage: Qcow2Store, pairs: list[RewindTarget]
) -> None:
    seats = storage.folder / "seats"
    (seats / "notes.txt").write_text("mine")
    (seats / "dir.qcow2").mkdir()
    (seats / "dead.qcow2").symlink_to("/nowhere")
    (seats / ".a-03.qcow2.new").write_text("of a crash")
    (seats / "raw.qcow2").write_bytes(bytes(MIB))
    (seats / "empty.qcow2.json").write_text("")
    found = {volume.name: volume for volume in storage.observe().volumes}
    assert set(found) == {"net", "a-01", "a-02", "dir", "raw", "empty"}
    assert [found[name].labels for name in ("dir", "raw", "empty")] == [None] * 3
    assert found["empty"].fault
    assert pairs[0].volume in found.values()


def undo_in(slot: UndoSlot, *pairs: RewindTarget) -> dict[str, UndoSlot]:
    return {pair.volume.uuid: slot for pair in pairs}


def test_repair_when_a_sidecar_is_damaged_then_what_is_kept_of_the_seat_waits(
    storage: Qcow2Store, pairs: list[RewindTarget]
) -> None:
    storage.rewind(pairs, undo=undo_in(UndoSlot.B, *pairs))
    seat = pairs[0].volume
    sidecar_path(seat.path).write_text("{")
    assert not storage.repair_after_crash([pairs[1].volume], set)
    assert storage.undo_slots([seat]) == {seat.uuid: {UndoSlot.B}}
    seat.path.unlink()  # by somebody: it may come back
    assert not storage.repair_after_crash([pairs[1].volume], set)
    sidecar_path(seat.path).unlink()
    assert storage.repair_after_crash([pairs[1].volume], set)
    assert not storage.undo_slots([seat])


@pytest.mark.parametrize("is_repaired", [True, False])
@pytest.mark.parametrize("verb", ["reset", "undo"])
def test_content_when_it_dies_before_any_change_of_a_file_then_the_same_again_ends_it(
    storage: Qcow2Store,
    pairs: list[RewindTarget],
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    is_repaired: bool,
) -> None:
    """Of a seat with this week's work, of which last week's is in slot A."""
    pair, (nothing, older, newer) = pairs[0], (bytes([n]) * 4 * KIB for n in (0, 1, 2))
    seat = pair.volume

    def act() -> None:
        if verb == "reset":
            faults = storage.rewind([pair], undo=undo_in(UndoSlot.B, pair))
        else:
            swap = UndoSwap(volume=seat, kept=UndoSlot.A, to=UndoSlot.B)
            faults = storage.swap_with_undo([swap])
        assert faults == {seat.uuid: None}
        storage.reclaim_space([seat], keep=undo_in(UndoSlot.B, pair))

    for step in count():
        storage.discard_undo([seat])
        write_image(seat.path, 0, older)
        storage.rewind([pair], undo=undo_in(UndoSlot.A, pair))
        write_image(seat.path, 0, newer)
        with monkeypatch.context() as now:
            left = iter(range(step))
            for where, name in ((os, "open"), (os, "link"), (Path, "replace"), (Path, "unlink")):
                now.setattr(where, name, dying(getattr(where, name), left))
            try:
                act()
            except KeyboardInterrupt:
                is_done = False
            else:
                is_done = True
        if is_repaired:
            storage.repair_after_crash([seat], set)
        act()
        assert image_read(seat.path, 0, 4 * KIB) == (nothing if verb == "reset" else older), step
        assert storage.undo_slots([seat]) == {seat.uuid: {UndoSlot.B}}, step
        storage.swap_with_undo([UndoSwap(volume=seat, kept=UndoSlot.B, to=UndoSlot.A)])
        assert image_read(seat.path, 0, 4 * KIB) == newer, step
        if is_done:
            assert step > 2
            return


def test_repair_when_somebody_is_at_work_then_what_is_there_is_left_to_that_one(
    storage: Qcow2Store, pairs: list[RewindTarget]
) -> None:
    seat = pairs[0].volume
    with qcow2_undo.swapping(seat.path.parent):
        qcow2_undo.save_undo(seat.path, UndoSlot.A)  # and the image has not been replaced yet
        assert not storage.repair_after_crash([seat], set)
    assert storage.repair_after_crash([seat], set)  # it was killed, and there is no record
    assert not storage.undo_slots([seat])


def test_repair_when_a_version_without_a_journal_was_cut_off_then_its_undo_is_in_slot_a(
    storage: Qcow2Store, pairs: list[RewindTarget]
) -> None:
    """That one kept the content beside as ".kept", and first as ".moving"."""
    pair, work = pairs[0], b"w" * 4 * KIB
    write_image(pair.volume.path, 0, work)
    storage.rewind([pair], undo=undo_in(UndoSlot.A, pair))
    kept = pair.volume.path.with_name(f".{pair.volume.path.name}.kept")
    kept.rename(kept.with_suffix(".moving"))
    assert storage.repair_after_crash([one.volume for one in pairs], set)
    assert storage.undo_slots([pair.volume]) == {pair.volume.uuid: {UndoSlot.A}}
    storage.swap_with_undo([UndoSwap(volume=pair.volume, kept=UndoSlot.A, to=UndoSlot.B)])
    assert image_read(pair.volume.path, 0, 4 * KIB) == work


def dying(real: Callable[..., Any], left: Iterator[int]) -> Callable[..., Any]:
    def call(*args: Any, **more: Any) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return real(*args, **more)

    return call


# refusals


def test_created_when_an_image_of_that_name_is_there_then_is_left_as_it_is(
    storage: Qcow2Store, golden: Volume
) -> None:
    (storage.folder / "seats").mkdir()
    theirs = create_image(storage.folder / "seats/a-02.qcow2", MIB)
    before = theirs.read_bytes()
    with pytest.raises(AlreadyExists):
        storage.create_seats(golden, [FIRST, SECOND])
    assert theirs.read_bytes() == before
    assert files(storage)[:-2] == ["seats/a-02.qcow2"]  # and the first was taken back


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "-o", "a b", "a\n", "x" * 200])
def test_created_when_the_name_could_leave_the_folder_then_is_refused(
    storage: Qcow2Store, name: str
) -> None:
    with pytest.raises(BadInput):
        storage.create_golden(NewVolume(name=name, size_bytes=SIZE, labels=FILLING.labels))
    assert not storage.folder.exists()


def test_golden_when_qemu_img_refuses_then_nothing_is_left(storage: Qcow2Store) -> None:
    with pytest.raises(StorageFault, match="create"):
        storage.create_golden(NewVolume(name="net", size_bytes=-5, labels=FILLING.labels))
    assert files(storage) == []


def test_removed_when_seats_stand_on_the_golden_then_it_stays_and_says_which(
    storage: Qcow2Store, pairs: list[RewindTarget], golden: Volume
) -> None:
    storage.remove([pairs[0].volume])
    fault = storage.remove([golden])[golden.uuid]
    assert isinstance(fault, StorageFault)
    assert "a-02" in str(fault)
    assert golden.path.exists()


def test_changes_when_a_machine_runs_then_are_refused_and_proof_goes_on(
    storage: Qcow2Store, pairs: list[RewindTarget]
) -> None:
    seat = pairs[0].volume
    with holding_image(seat.path):
        assert is_open_in_qemu(seat.path)
        assert not is_open_in_qemu(pairs[1].volume.path)
        assert isinstance(storage.rewind(pairs)[seat.uuid], Busy)
        assert isinstance(storage.remove([seat])[seat.uuid], Busy)
        with pytest.raises(Busy):
            storage.grow(seat, 2 * SIZE)
        assert storage.diff(pairs) == storage.diff(pairs, independently=True)
    assert storage.rewind(pairs)[seat.uuid] is None


def test_relabelled_when_a_volume_is_foreign_or_unknown_then_none_is_written(
    storage: Qcow2Store, pairs: list[RewindTarget]
) -> None:
    create_image(storage.folder / "seats/theirs.qcow2", MIB)
    theirs, ours = named(storage, "theirs"), pairs[0].volume
    labels = SeatLabels(classroom="a", seat=9)
    for other in (theirs.uuid, "unknown"):
        with pytest.raises(NotOurs):
            storage.set_labels({ours.uuid: labels, other: labels}, storage.observe())
    assert named(storage, "a-01").labels == ours.labels
    assert not sidecar_path(theirs.path).exists()


def test_grown_when_it_is_a_template_then_is_refused(storage: Qcow2Store, golden: Volume) -> None:
    with pytest.raises(BadInput):
        storage.grow(golden, 2 * SIZE)


# proof


def test_proof_when_clusters_are_written_then_both_ways_count_the_same(
    storage: Qcow2Store, pairs: list[RewindTarget]
) -> None:
    path = str(pairs[0].volume.path)
    commands = ("write 0 1", "write 1M 200k", "write -z 2M 1M", "discard 4M 64k", "write 8191k 1k")
    last = 0
    for command in commands:
        qemu_io("-f", "qcow2", "-c", command, path)
        proven = storage.diff(pairs)
        assert proven == storage.diff(pairs, independently=True)
        change = proven[pairs[0].volume.uuid]
        assert isinstance(change, Change)
        assert change.changed_bytes > last
        last = change.changed_bytes
    assert last == (1 + 4 + 16 + 1 + 1) * 64 * KIB


def test_proof_when_the_seat_stands_on_another_image_then_is_no_proof(
    storage: Qcow2Store, pairs: list[RewindTarget], golden: Volume
) -> None:
    seat = pairs[0].volume
    other = create_image(storage.folder / "other", SIZE)
    for backing in ((), ("-F", "qcow2", "-b", str(other)), ("-F", "raw", "-b", str(golden.path))):
        create_image(seat.path, SIZE, *backing)
        for changes in (storage.diff(pairs), storage.diff(pairs, independently=True)):
            assert isinstance(changes[seat.uuid], PizarraError)
            assert changes[pairs[1].volume.uuid] == Change(changed_bytes=0)
    assert storage.rewind(pairs)[seat.uuid] is None
    assert storage.diff(pairs)[seat.uuid] == Change(changed_bytes=0)


def test_proof_when_a_snapshot_is_inside_the_image_then_is_no_proof(
    storage: Qcow2Store, pairs: list[RewindTarget]
) -> None:
    from pizarra.system.process import run

    run(["qemu-img", "snapshot", "-c", "theirs", str(pairs[0].volume.path)])
    assert isinstance(storage.diff(pairs)[pairs[0].volume.uuid], StorageFault)
    assert storage.rewind(pairs)[pairs[0].volume.uuid] is None
    assert storage.diff(pairs)[pairs[0].volume.uuid] == Change(changed_bytes=0)
