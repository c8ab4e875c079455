"""Backups that are not made, and restores that are refused or cut off: nothing is lost then."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pizarra import settings as settings_file
from pizarra.errors import (
    AlreadyExists,
    BadInput,
    Busy,
    Forbidden,
    NotOurs,
    PizarraError,
    StorageFault,
    Unsupported,
)
from pizarra.model.facts import Power
from pizarra.model.policy import ResetBy
from pizarra.service.backup.restore import restore
from pizarra.service.backup.save import back_up
from pizarra.service.commands.table import find_command
from pizarra.service.context import Context
from pizarra.service.recover import recover
from pizarra.service.undo import undo
from pizarra.settings import Settings
from tests.unit.test_backup import TOML, etc, files, school, state
from tests.unit.test_reset import School

__all__ = ["etc", "school"]  # fixtures


def test_restore_when_the_host_is_another_with_a_state_then_is_refused_and_replace_keeps_it(
    school: School, tmp_path: Path, own_state: Path
) -> None:
    school.dirty(1)
    school.reset([1])
    back_up(school.context, tmp_path / "backup")
    before = files(state(school))
    with pytest.raises(AlreadyExists, match="state of its own"):
        restore(school.context, tmp_path / "backup")
    assert files(state(school)) == before
    done = restore(school.context, tmp_path / "backup", replace=True)
    aside = [Path(one) for one in done["set_aside"]]
    assert [one.parent for one in aside] == [settings_file.FILE.parent.parent, own_state]
    assert files(aside[1]).items() | files(state(school)).items() >= before.items()
    assert files(aside[0]) == {"pizarra.toml": TOML.encode()}
    recover(school.context)
    assert undo(school.context, "net", [1]).exit_status == 0


def test_restore_when_it_is_the_same_host_then_needs_no_word(
    school: School, tmp_path: Path
) -> None:
    school.context.host.identity = "11111111-2222-3333-4444-555555555555"
    back_up(school.context, tmp_path / "backup")
    (state(school) / "definitions").mkdir(parents=True)
    (state(school) / "definitions" / "x.before.xml").write_text("<domain/>")
    assert len(restore(school.context, tmp_path / "backup")["set_aside"]) == 2
    assert [one.name for one in (state(school) / "restored").iterdir()] == ["manifest.json"]


def edit(backup: Path, change: Callable[[dict[str, object]], object]) -> None:
    manifest = backup / "manifest.json"
    said = json.loads(manifest.read_text())
    change(said)
    manifest.write_text(json.dumps(said))


def lead_out(said: dict[str, object], path: str) -> None:
    its = said["files"]
    assert isinstance(its, list)
    its[-1]["path"] = path


def link_away(backup: Path) -> None:
    """What is linked to is not what was saved, though it has the same bytes."""
    file = backup / "settings" / "pizarra.toml"
    file.rename(backup.parent / "elsewhere")
    file.symlink_to(backup.parent / "elsewhere")


Damage = Callable[[Path], object]


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda one: (one / "settings" / "pizarra.toml").write_text("vg = 'x'"), BadInput),
        (lambda one: (one / "settings" / "pizarra.toml").write_text("]"), BadInput),
        (lambda one: (one / "settings" / "pizarra.toml").unlink(), BadInput),
        (lambda one: next((one / "moment" / "undo").iterdir()).write_text("b"), BadInput),
        (lambda one: next((one / "moment" / "undo").iterdir()).unlink(), BadInput),
        (lambda one: (one / "manifest.json").write_text("{"), BadInput),
        (lambda one: (one / "manifest.json").unlink(), BadInput),
        (shutil.rmtree, BadInput),
        (lambda one: one.chmod(0o777), NotOurs),
        (lambda one: (one / "manifest.json").chmod(0o666), NotOurs),
        (lambda one: edit(one, lambda said: said.update(version="99.0.0")), Unsupported),
        (lambda one: edit(one, lambda said: said.update(format="pizarra-backup-2")), BadInput),
        (lambda one: edit(one, lambda said: lead_out(said, "state/../../../x")), BadInput),
        (lambda one: edit(one, lambda said: lead_out(said, "/etc/shadow")), BadInput),
        (lambda one: edit(one, lambda said: lead_out(said, "other/x")), BadInput),
        (link_away, BadInput),
    ],
)
def test_restore_when_the_backup_is_not_whole_then_nothing_is_touched(
    school: School, tmp_path: Path, damage: Damage, error: type[PizarraError]
) -> None:
    school.dirty(1)
    school.reset([1])
    backup = tmp_path / "backup"
    back_up(school.context, backup)
    damage(backup)
    before = files(state(school)), files(settings_file.FILE.parent)
    names = {one.name for one in (*tmp_path.iterdir(), *state(school).parent.iterdir())}
    with pytest.raises(error):
        restore(school.context, backup, replace=True)
    assert (files(state(school)), files(settings_file.FILE.parent)) == before
    assert {one.name for one in (*tmp_path.iterdir(), *state(school).parent.iterdir())} == names


def test_backup_when_a_verb_is_under_way_then_is_busy_and_leaves_nothing(
    school: School, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pizarra.service.backup.save.WAIT_S", 0.05)
    with school.context.claim(["seat:net-01"], "reset"), pytest.raises(Busy, match="host is busy"):
        back_up(school.context, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()
    with school.context.claim(["host"], "backup"), pytest.raises(Busy, match="backup"):
        school.reset([1])


def test_backup_when_another_user_can_write_there_then_is_refused(
    school: School, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    with pytest.raises(StorageFault, match="cannot be written"):
        back_up(school.context, theirs / "backup")
    assert list(theirs.iterdir()) == []


def test_backup_when_asked_from_elsewhere_then_is_refused(school: School, tmp_path: Path) -> None:
    context = Context(school.context.host, by=ResetBy.TECHNICIANS)
    for name in ("backup", "restore"):
        with pytest.raises(Forbidden):
            find_command(name)(context, {"folder": str(tmp_path / "backup")})


def test_restore_when_a_server_runs_then_is_busy(school: School, tmp_path: Path) -> None:
    back_up(school.context, tmp_path / "backup")
    door = school.context.host.settings.agent_socket
    door.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as served:
        served.bind(str(door))
        served.listen()
        with pytest.raises(Busy, match="server of this host runs"):
            restore(school.context, tmp_path / "backup", replace=True)


# the note is put in its place first, then two folders are put aside and exchanged
@pytest.mark.parametrize("step", range(1, 6))
def test_restore_when_it_is_cut_off_while_folders_change_places_then_recover_ends_it(
    school: School, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    school.dirty(1)
    school.reset([1])
    back_up(school.context, tmp_path / "backup")
    settings_file.FILE.write_text("# another\n")
    real, calls = os.rename, iter(range(1, 100))

    def rename(*given: object, **more: object) -> None:
        if more and next(calls) == step:
            raise KeyboardInterrupt
        real(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(KeyboardInterrupt):
        restore(school.context, tmp_path / "backup", replace=True)
    monkeypatch.setattr(os, "rename", real)
    recover(school.context)
    assert settings_file.FILE.read_text() == ("# another\n" if step == 1 else TOML)
    assert undo(school.context, "net", [1]).exit_status == 0
    left = (*state(school).parent.iterdir(), *settings_file.FILE.parent.parent.iterdir())
    assert not [one for one in left if one.name.endswith((".restoring", ".restoring.json"))]


def test_restore_when_done_twice_then_the_second_is_as_the_first(
    school: School, tmp_path: Path
) -> None:
    school.dirty(1)
    school.reset([1])
    back_up(school.context, tmp_path / "backup")
    restore(school.context, tmp_path / "backup", replace=True)
    restore(school.context, tmp_path / "backup", replace=True)
    recover(school.context)
    assert undo(school.context, "net", [1]).exit_status == 0
    assert school.power(1) is Power.OFF


def test_settings_of_when_the_file_says_more_than_the_text_then_the_text_counts() -> None:
    settings_file.FILE.write_text("grace_s = 9\nvg = 'vg1'\n")
    there = settings_file.settings_of("grace_s = 3")
    assert (there.grace_s, there.vg) == (3, "")
    assert Settings().vg == "vg1"
