"""Backup and restore over the memory drivers, with real files: the disks stay, as in LVM, and the
folder of the state is thrown away."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pizarra import settings as settings_file
from pizarra.compute import domain_edit
from pizarra.compute.memory import MemoryCompute
from pizarra.engine.entries import standing_undo_entry
from pizarra.engine.events import Event, Noted
from pizarra.engine.host import Host, RealStorages
from pizarra.engine.journal import Action, PowerAfter
from pizarra.engine.memory_host import memory_host
from pizarra.errors import (
    AlreadyExists,
    StorageFault,
    Unsupported,
)
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.outcome import Outcome
from pizarra.model.sizes import MIB
from pizarra.service import classrooms, templates, verbs
from pizarra.service.backup.restore import restore
from pizarra.service.backup.save import back_up
from pizarra.service.context import Context
from pizarra.service.recover import recover
from pizarra.service.undo import undo
from pizarra.settings import Settings
from pizarra.storage.kinds import Kind
from pizarra.storage.memory.store import MemoryStore
from tests.contract.storage_qcow2 import image_read, write_image
from tests.unit.test_reset import School
from tests.unit.test_undo_firmware import BEFORE, NOW, ORIGINAL, Uefi

TOML = 'grace_s = 7\nserver_user = "root"\nserver_listen = "127.0.0.1:1"\n'


@pytest.fixture(autouse=True)
def etc(tmp_path: Path, own_state: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the settings, which nobody else reads."""
    file = tmp_path / "etc" / "pizarra" / "pizarra.toml"
    file.parent.mkdir(parents=True)
    file.write_text(TOML)
    monkeypatch.setattr(settings_file, "FILE", file)
    monkeypatch.setenv("PIZARRA_STATE_FOLDER", str(own_state / "state"))
    monkeypatch.setenv("PIZARRA_SERVER_FOLDER", str(own_state / "state" / "server"))
    monkeypatch.setattr(domain_edit, "NVRAM_FOLDER", tmp_path / "nvram")
    (tmp_path / "nvram").mkdir()
    return file


@pytest.fixture
def school() -> School:
    return School()


@pytest.fixture
def uefi() -> Uefi:
    return Uefi()


def state(school: School) -> Path:
    return school.context.host.settings.state_folder


def hearing(school: School) -> tuple[Context, list[Event]]:
    events: list[Event] = []
    return Context(school.context.host, events.append), events


def told(events: list[Event]) -> str:
    return "\n".join(str(one) for one in events if isinstance(one, Noted))


def lose_state(school: School, folder: Path) -> None:
    """The root file system is thrown away: the state, the settings and the machines of libvirt."""
    shutil.rmtree(state(school))
    shutil.rmtree(settings_file.FILE.parent)
    for one in school.compute.observe():
        school.compute.undefine(one.uuid)
    for file in folder.glob("nvram/*"):
        file.unlink()


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(one.relative_to(folder)): one.read_bytes()
        for one in sorted(folder.rglob("*"))
        if one.is_file()
    }


def outcome(school: School, number: int) -> Outcome:
    (report,) = recover(school.context)
    return report.seats[number - 1].outcome


def test_backup_when_made_then_is_whole_and_closed_and_a_second_has_another_name(
    school: School, tmp_path: Path
) -> None:
    school.dirty(1)
    school.reset([1])
    made = back_up(school.context, tmp_path / "backup")
    folder = tmp_path / "backup"
    modes = {one.stat().st_mode & 0o7777 for one in folder.rglob("*") if one.is_file()}
    assert modes == {0o600}
    folders = [folder, *(one for one in folder.rglob("*") if one.is_dir())]
    assert {one.stat().st_mode & 0o7777 for one in folders} == {0o700}
    assert {one.stat().st_uid for one in folder.rglob("*")} == {os.geteuid()}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["format"] == "pizarra-backup-1"
    assert made["files"] == len(files(folder)) - 1
    assert (folder / "settings" / "pizarra.toml").read_text() == TOML
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []
    with pytest.raises(AlreadyExists):
        back_up(school.context, folder)


def test_restore_when_the_state_is_lost_then_settings_and_undos_are_there_again(
    school: School, tmp_path: Path
) -> None:
    school.dirty(1, 2)
    school.reset([1, 2])
    since = next((state(school) / "undo").iterdir()).stat().st_mtime
    back_up(school.context, tmp_path / "backup")
    lose_state(school, tmp_path)

    done = restore(school.context, tmp_path / "backup")
    assert (done["set_aside"], done["next"]) == ([], "pizarra recover")
    assert settings_file.FILE.read_text() == TOML
    assert {one.outcome for one in recover(school.context)[0].seats} == {Outcome.DONE}
    assert next((state(school) / "undo").iterdir()).stat().st_mtime == since
    assert not (state(school) / "restored").exists()
    assert undo(school.context, "net", [1]).exit_status == 0
    assert school.content(1) == b"a studen"
    assert school.content(2) == b"original"
    assert verbs.verify(school.context, "net", [2]).seats[0].verified


def test_recover_when_alone_then_all_but_undos_is_there(school: School, tmp_path: Path) -> None:
    school.dirty(1, 2)
    school.reset([1])
    lose_state(school, tmp_path)
    assert {one.outcome for one in recover(school.context)[0].seats} == {Outcome.DONE}
    assert (school.content(1), school.content(2)) == (b"original", b"a studen")
    with pytest.raises(Unsupported):
        undo(school.context, "net", [1])
    assert school.reset().exit_status == 0


@pytest.mark.parametrize("resets", [1, 2])
def test_restore_when_a_seat_was_reset_since_then_its_old_undo_is_dropped_and_told(
    school: School, tmp_path: Path, resets: int
) -> None:
    """After two resets the same slot is filled again, with the content of another day."""
    school.dirty(1, 2)
    school.reset([1, 2])
    back_up(school.context, tmp_path / "backup")
    for week in range(resets):
        school.storage.write("net-01.vda", 0, b"week %d" % week)
        school.reset([1])
    lose_state(school, tmp_path)
    restore(school.context, tmp_path / "backup")
    context, events = hearing(school)
    recover(context)
    assert "net-01: its undo is not that of the backup" in told(events)
    assert "net-02" not in told(events)
    with pytest.raises(Unsupported):
        undo(school.context, "net", [1])
    assert undo(school.context, "net", [2]).exit_status == 0
    assert school.content(1) == b"original"


def test_restore_when_an_undo_was_undone_since_then_it_is_not_done_again(
    school: School, tmp_path: Path
) -> None:
    """The other slot is filled now, and what it holds was never in the backup."""
    school.dirty(1)
    school.reset([1])
    back_up(school.context, tmp_path / "backup")
    undo(school.context, "net", [1])
    lose_state(school, tmp_path)
    restore(school.context, tmp_path / "backup")
    recover(school.context)
    assert school.content(1) == b"a studen"
    with pytest.raises(Unsupported):
        undo(school.context, "net", [1])
    assert school.content(1) == b"a studen"


def test_restore_when_a_reset_was_cut_off_and_nothing_happened_since_then_it_goes_on(
    school: School, tmp_path: Path
) -> None:
    school.dirty(1, 2)
    school.storage.fail_at("rewind", 2, StorageFault("the pool is not well"))
    school.reset([1, 2])
    assert list((state(school) / "journal").iterdir())
    back_up(school.context, tmp_path / "backup")
    lose_state(school, tmp_path)
    restore(school.context, tmp_path / "backup")
    recover(school.context)
    assert not list((state(school) / "journal").iterdir())
    assert {school.content(1), school.content(2)} == {b"original"}
    assert undo(school.context, "net", [1, 2]).exit_status == 0
    assert {school.content(1), school.content(2)} == {b"a studen"}


def test_restore_when_a_cut_off_reset_was_completed_since_then_its_record_rewinds_nothing(
    school: School, tmp_path: Path
) -> None:
    school.dirty(1, 2)
    school.storage.fail_at("rewind", 2, StorageFault("the pool is not well"))
    school.reset([1, 2])
    back_up(school.context, tmp_path / "backup")
    assert school.reset([1, 2]).exit_status == 0
    school.storage.write("net-01.vda", 0, b"a week of work")
    school.storage.write("net-02.vda", 0, b"a week of work")
    lose_state(school, tmp_path)
    restore(school.context, tmp_path / "backup")
    context, events = hearing(school)
    recover(context)
    assert "what was cut off before the backup (reset) is not gone on with" in told(events)
    assert {school.content(1), school.content(2)} == {b"a week o"}
    assert not list((state(school) / "journal").glob("*.json"))


def test_restore_when_a_machine_has_uefi_then_its_variables_and_the_original_come_back(
    uefi: Uefi, tmp_path: Path
) -> None:
    uefi.works(BEFORE)
    uefi.reset([1])
    uefi.works(NOW)
    back_up(uefi.context, tmp_path / "backup")
    lose_state(uefi, tmp_path)
    restore(uefi.context, tmp_path / "backup")
    recover(uefi.context)
    assert uefi.has() == (NOW, NOW)
    assert undo(uefi.context, "net", [1]).exit_status == 0
    assert uefi.has() == (BEFORE, BEFORE)
    assert uefi.reset([1]).exit_status == 0
    assert uefi.has() == (ORIGINAL, ORIGINAL)


def test_restore_when_a_uefi_seat_was_reset_since_then_old_variables_stay_away(
    uefi: Uefi, tmp_path: Path
) -> None:
    """Its disk is of this week. Neither the variables nor the undo of last week belong to it."""
    uefi.works(BEFORE)
    uefi.reset([1])
    uefi.works(BEFORE)
    back_up(uefi.context, tmp_path / "backup")
    uefi.works(NOW)
    uefi.reset([1])
    lose_state(uefi, tmp_path)
    restore(uefi.context, tmp_path / "backup")
    recover(uefi.context)
    assert not uefi.nvram.exists(), "libvirt makes it anew, and a reset brings the original"
    with pytest.raises(Unsupported):
        undo(uefi.context, "net", [1])
    assert verbs.verify(uefi.context, "net", [1]).seats[0].verified is False
    assert uefi.reset([1]).exit_status == 0
    assert uefi.has() == (ORIGINAL, ORIGINAL)


def test_restore_when_libvirt_kept_its_machines_then_what_they_have_now_stays(
    uefi: Uefi, tmp_path: Path
) -> None:
    uefi.works(BEFORE)
    back_up(uefi.context, tmp_path / "backup")
    uefi.nvram.write_bytes(NOW)
    shutil.rmtree(state(uefi))
    restore(uefi.context, tmp_path / "backup")
    recover(uefi.context)
    assert uefi.nvram.read_bytes() == NOW
    assert uefi.reset([1]).exit_status == 0
    assert uefi.has() == (ORIGINAL, ORIGINAL)


def test_recover_when_alone_and_uefi_then_a_reset_says_what_is_lost(
    uefi: Uefi, tmp_path: Path
) -> None:
    uefi.works(BEFORE)
    lose_state(uefi, tmp_path)
    recover(uefi.context)
    report = uefi.reset([1])
    assert report.exit_status == 1
    assert "Put it back from a backup" in str(report.seats[0].reason) or "original state" in str(
        report.seats[0].reason
    )
    assert uefi.content(1) == BEFORE[:8]


@pytest.mark.parametrize("action", [Action.SWAP_DATA, Action.IDENTIFY])
def test_restore_when_a_record_is_of_no_reset_then_it_is_never_gone_on_with(
    school: School, tmp_path: Path, action: Action
) -> None:
    """Labels of data disks, and identities of guests, may be others by now, and nothing tells."""
    (seat, *_) = school.context.host.observe().classroom("net").seats
    entry = standing_undo_entry(seat, seat.baselines, PowerAfter.OFF)
    with school.context.host.journal.begin("old", action, "ana", [entry]):
        pass
    school.dirty(1)
    back_up(school.context, tmp_path / "backup")
    lose_state(school, tmp_path)
    restore(school.context, tmp_path / "backup")
    context, events = hearing(school)
    recover(context)
    assert "net-01: what was cut off before the backup (old)" in told(events)
    assert school.content(1) == b"a studen"
    assert not (state(school) / "restored").exists()


def test_restore_when_volumes_are_not_there_yet_then_their_notes_wait_for_them(
    school: School, tmp_path: Path
) -> None:
    school.dirty(1, 2)
    school.storage.fail_at("rewind", 2, StorageFault("the pool is not well"))
    school.reset([1, 2])
    back_up(school.context, tmp_path / "backup")
    lose_state(school, tmp_path)
    restore(school.context, tmp_path / "backup")
    elsewhere = memory_host(MemoryStore(), MemoryCompute(), school.context.host.settings)
    assert recover(Context(elsewhere)) == []
    assert (state(school) / "restored" / "journal").is_dir()
    recover(school.context)
    assert not (state(school) / "restored").exists()
    assert undo(school.context, "net", [1, 2]).exit_status == 0
    assert {school.content(1), school.content(2)} == {b"a studen"}


def test_restore_when_storage_cannot_tell_then_notes_wait_and_the_error_ends_it(
    school: School, tmp_path: Path
) -> None:
    school.dirty(1)
    school.reset([1])
    back_up(school.context, tmp_path / "backup")
    lose_state(school, tmp_path)
    restore(school.context, tmp_path / "backup")
    school.storage.fail_at("content_ids", 1, StorageFault("the pool is not active"))
    with pytest.raises(StorageFault, match="not active"):
        recover(school.context)
    recover(school.context)
    assert undo(school.context, "net", [1]).exit_status == 0


def test_restore_when_disks_are_qcow2_files_then_an_undo_of_the_same_file_comes_back(
    tmp_path: Path,
) -> None:
    settings = Settings(folder=tmp_path / "disks", at_once=3)
    context = Context(Host(settings, MemoryCompute(), RealStorages(settings)))
    image = tmp_path / "golden.img"
    image.write_bytes(b"original" * 512 + bytes(4 * MIB))
    templates.import_template(context, "t", templates.source_of_file(image), kind=Kind.QCOW2)
    spec = ClassroomSpec(name="net", template="t", seats=2, memory_bytes=64 * MIB)
    assert classrooms.create(context, spec).exit_status == 0

    def disks() -> list[Path]:
        seats = context.host.observe().classroom("net").seats
        return [seat.volumes[0].path for seat in sorted(seats, key=lambda one: one.number)]

    for path in disks():
        write_image(path, 0, b"a student was here")
    assert verbs.reset(context, "net").exit_status == 0
    back_up(context, tmp_path / "backup")
    write_image(disks()[1], 0, b"week two")
    assert verbs.reset(context, "net", [2]).exit_status == 0
    write_image(disks()[0], 0, b"later")
    shutil.rmtree(settings.state_folder)
    restore(context, tmp_path / "backup")
    recover(context)
    with pytest.raises(Unsupported):
        undo(context, "net", [2])
    assert undo(context, "net", [1]).exit_status == 0
    assert [image_read(path, 0, 8) for path in disks()] == [b"a studen", b"original"]


def test_restore_when_a_machine_was_adopted_then_it_is_defined_as_it_was(
    school: School, tmp_path: Path
) -> None:
    """The same adoption, and another one of the same machine since."""
    uuid = "32d9e00c-29e0-403a-aa65-d444cbab3d75"
    for number, lasts in ((1, True), (2, False)):
        seat = next(one for one in school.context.host.observe().classroom("net").seats
                    if one.number == number)  # fmt: skip
        (volume,) = seat.volumes
        xml = school.compute.xml(seat.domain_uuid)
        labels = replace(seat.labels, name=seat.name)
        school.context.host.set_labels({volume: labels})
        school.context.host.definitions.put(seat.domain_uuid, xml)
        backup = tmp_path / f"backup-{number}"
        back_up(school.context, backup)
        if not lasts:
            school.context.host.set_labels({volume: replace(labels, baseline=uuid)})
        lose_state(school, tmp_path)
        restore(school.context, backup)
        recover(school.context)
        assert (school.context.host.definitions.get(seat.domain_uuid) == xml) is lasts
        assert (seat.domain_uuid in {one.uuid for one in school.compute.observe()}) is lasts


def test_restore_when_the_host_is_well_then_what_it_knows_of_volumes_stays(
    uefi: Uefi, tmp_path: Path
) -> None:
    """Somebody wants the people and the settings of last week, and the class goes on."""
    uefi.works(BEFORE)
    uefi.reset([1])
    back_up(uefi.context, tmp_path / "backup")
    for text in (NOW, BEFORE):
        uefi.works(text)
        uefi.reset([1])
    originals = state(uefi) / "machines"
    for name in ("made-since", "made-since.ram"):
        (originals / name).mkdir()
    settings_file.FILE.write_text("# another\n")
    restore(uefi.context, tmp_path / "backup", replace=True)
    context, events = hearing(uefi)
    recover(context)
    assert told(events) == ""
    assert settings_file.FILE.read_text() == TOML
    assert {"made-since", "made-since.ram"} <= {one.name for one in originals.iterdir()}
    assert undo(uefi.context, "net", [1]).exit_status == 0
    assert uefi.has() == (BEFORE, BEFORE)
    assert uefi.reset([1]).exit_status == 0
    assert uefi.has() == (ORIGINAL, ORIGINAL)
