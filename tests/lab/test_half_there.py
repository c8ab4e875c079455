"""A real host that is half there: a group that sleeps, a full disk, a terminal that closes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pizarra.model.facts import Power
from pizarra.service.context import Context
from pizarra.storage.kinds import Kind
from tests.contract.storage_lvm import VG
from tests.fixtures.command import CommandResult, check_refused, pizarra
from tests.lab.conftest import command
from tests.lab.school import School, eventually

on_thin = pytest.mark.parametrize("kind", [Kind.LVM_THIN], indirect=True, scope="session")


# ---- a volume group that sleeps


@pytest.fixture(params=[Kind.LVM_THIN, Kind.LVM_THICK])
def asleep(lab: Context, request: pytest.FixtureRequest, bootsector: Path) -> Iterator[Context]:
    """A class of two whose volume group somebody deactivated."""
    where = ("--storage", str(request.param), "--vg", VG)
    well(pizarra("template", "import", "boot", str(bootsector), *where))
    wish = ("--template", "boot", "--seats", "2", "--memory", "16M", "--network", "none")
    well(pizarra("classroom", "create", "net", *wish))
    sleep()
    yield lab
    command("vgchange", "-ay", VG)


def sleep() -> None:
    command("vgchange", "-an", VG)


def well(said: CommandResult) -> CommandResult:
    assert said.status == 0, (said.out, said.err)
    return said


@pytest.mark.usefixtures("asleep")
def test_status_when_the_group_sleeps_then_it_only_looks() -> None:
    said = pizarra("status", "net")
    assert "Traceback" not in said.err
    assert "device-mapper refused" not in said.out + said.err
    active = command("lvs", "--noheadings", "-o", "lv_active", "-S", "lv_name=~^net", VG)
    assert active.split() == []


def test_verbs_when_the_group_sleeps_then_they_wake_it(asleep: Context) -> None:
    started = well(pizarra("start", "net", "--json"))
    assert set(started.seats.values()) == {"done"}
    for verb in ("reset", "verify"):
        well(pizarra("stop", "net", "--grace", "0"))
        sleep()
        said = well(pizarra(verb, "net", "--json"))
        assert set(said.seats.values()) <= {"done", "unchanged"}
    sleep()
    well(pizarra("recover"))
    assert {seat.power for seat in asleep.host.observe().classroom("net").seats} == {Power.OFF}


@pytest.mark.usefixtures("asleep")
def test_host_check_when_the_group_sleeps_then_its_command_wakes_it() -> None:
    found = {one["check"]: one for one in pizarra("host", "check", "--json").document["findings"]}
    assert found[f"volume-group {VG}"]["mend"] == f"vgchange -ay {VG}"
    command(*found[f"volume-group {VG}"]["mend"].split())
    found = {one["check"]: one for one in pizarra("host", "check", "--json").document["findings"]}
    assert found[f"volume-group {VG}"]["level"] == "good"


def test_delete_when_the_group_sleeps_then_all_goes_and_is_said_so(asleep: Context) -> None:
    said = well(pizarra("classroom", "delete", "net", "--yes", "--json"))
    assert set(said.seats.values()) == {"done"}
    assert "net" not in asleep.host.observe().classrooms
    assert command("lvs", "--noheadings", "-o", "lv_name", "-S", "lv_name=~^net", VG).split() == []


# ---- a disk that is full, or read-only


@pytest.fixture
def small_var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The state folder is a file system of its own, with room for next to nothing."""
    folder = tmp_path / "var"
    folder.mkdir()
    command("mount", "-t", "tmpfs", "-o", "size=64k", "none", folder)
    monkeypatch.setenv("PIZARRA_STATE_FOLDER", str(folder))
    yield folder
    command("umount", "-l", folder)


@on_thin
def test_reset_when_var_is_full_then_refused_and_reading_goes_on(
    running: School, small_var: Path
) -> None:
    with (small_var / "full").open("wb") as file, pytest.raises(OSError, match="No space left"):
        while True:
            os.write(file.fileno(), bytes(4096))
    said = check_refused(pizarra("reset", running.name), 1)
    assert "df -h" in said.err
    assert {seat.power for seat in running.seats()} == {Power.RUNNING}
    well(pizarra("classroom", "show", running.name))
    assert "Traceback" not in pizarra("status", running.name).err
    found = {one["check"]: one for one in pizarra("host", "check", "--json").document["findings"]}
    assert found["permissions"]["level"] == "unfit"
    assert "No space left" in found["permissions"]["says"]
    (small_var / "full").unlink()
    well(pizarra("reset", running.name))


@on_thin
def test_reset_when_var_is_read_only_then_refused_and_reading_goes_on(
    running: School, small_var: Path
) -> None:
    command("mount", "-o", "remount,ro", small_var)
    said = check_refused(pizarra("reset", running.name), 1)
    assert "read-only" in said.err
    assert {seat.power for seat in running.seats()} == {Power.RUNNING}
    well(pizarra("classroom", "show", running.name))
    command("mount", "-o", "remount,rw", small_var)
    well(pizarra("reset", running.name))


# ---- an umask that closes everything


@pytest.mark.usefixtures("lab")
def test_import_when_the_umask_closes_everything_then_qemu_can_enter(
    bootsector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIZARRA_FOLDER", str(tmp_path / "disks"))
    before = os.umask(0o077)
    try:
        well(pizarra("template", "import", "boot", str(bootsector), "--storage", "qcow2"))
    finally:
        os.umask(before)
    folders = [tmp_path / "disks", *(one for one in (tmp_path / "disks").iterdir() if one.is_dir())]
    modes = {one.stat().st_mode & 0o777 for one in folders}
    assert modes <= {0o755, 0o711}, "all may enter; those of images tell nobody their names"
    well(pizarra("template", "delete", "boot", "--yes"))


# ---- a terminal that closes


@on_thin
def test_reset_when_its_terminal_closes_then_it_finishes(
    running: School,
) -> None:
    flights = running.context.host.settings.flight_folder
    before = {*flights.iterdir()} if flights.is_dir() else set()
    child, terminal = os.forkpty()
    if child == 0:
        argv = [sys.executable, "-m", "pizarra", "reset", running.name]
        os.execv(sys.executable, argv)
    eventually("the journal is written", lambda: _has_begun(flights, before))
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert {seat.power for seat in running.seats()} == {Power.RUNNING}
    assert running.context.host.journal.records() == ([], [])
    running.await_boots(1, *(seat.number for seat in running.seats()))


def _has_begun(flights: Path, before: set[Path]) -> bool:
    new = {*flights.iterdir()} - before if flights.is_dir() else set()
    return any("journal write" in one.read_text(errors="replace") for one in new)
