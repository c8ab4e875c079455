"""LVM on a host that is not ours: its settings, its other disks, and whatever else it says.

Each case goes through the life of a small classroom. What LVM prints beside its answers is no
refusal, and what is strange stops nothing but itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pizarra.model.facts import StorageKind
from pizarra.storage.kinds import Kind
from tests.contract.storage_lvm import VG
from tests.fixtures.command import check_refused, pizarra
from tests.lab.conftest import command

LOCAL = Path("/etc/lvm/lvmlocal.conf")
MIB = 1 << 20
thin = pytest.mark.parametrize("kind", [Kind.LVM_THIN], indirect=True, scope="session")
both = pytest.mark.parametrize("kind", [Kind.LVM_THIN, Kind.LVM_THICK], indirect=True,
                               scope="session")  # fmt: skip


@contextmanager
def settings(*lines: str) -> Iterator[None]:
    """LVM's configuration has these too."""
    before = LOCAL.read_text() if LOCAL.exists() else None
    LOCAL.write_text("\n".join((before or "", *lines)) + "\n")
    try:
        yield
    finally:
        LOCAL.unlink() if before is None else LOCAL.write_text(before)


@contextmanager
def disk(folder: Path, name: str) -> Iterator[str]:
    """A loop device of 64 MiB with nothing of LVM on it, neither before nor after."""
    image = folder / name
    image.write_bytes(b"")
    os.truncate(image, 64 * MIB)
    loop = command("losetup", "--find", "--show", image).strip()
    try:
        yield loop
    finally:
        command("losetup", "-d", loop)


@contextmanager
def loose_disk(folder: Path) -> Iterator[str]:
    """A physical volume in no volume group."""
    with disk(folder, "loose.img") as device:
        command("pvcreate", "-q", device)
        yield device


@contextmanager
def group(folder: Path, name: str, made_as: str) -> Iterator[str]:
    """A second volume group ``name``, made as if on another host; its UUID."""
    with disk(folder, f"{made_as}.img") as device:
        only = ("--config", f'devices/filter=["a|^{device}$|","r|.*|"]')
        with names_away(name):
            command("vgcreate", "-q", *only, name, device)
        yield command("vgs", *only, "--noheadings", "-o", "vg_uuid", name).strip()
        now = command("vgs", *only, "--noheadings", "-o", "vg_name").strip()
        command("vgremove", "-q", "-ff", "-y", *only, now)


@contextmanager
def names_away(group: str) -> Iterator[None]:
    """LVM makes no group whose folder of names is there already."""
    names, away = Path("/dev") / group, Path("/dev") / f"{group}.away"
    is_there = names.exists()
    if is_there:
        names.rename(away)
    try:
        yield
    finally:
        if is_there:
            away.rename(names)


@contextmanager
def complaining(folder: Path, line: str) -> Iterator[None]:
    """LVM says this on stderr each time, as it does of a card reader without a card."""
    script = folder / "lvm"
    script.write_text(f"#!/bin/sh\necho '  {line}' >&2\nexec /usr/sbin/lvm \"$@\"\n")
    script.chmod(0o755)
    with pytest.MonkeyPatch.context() as these:
        these.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        yield


@pytest.fixture(autouse=True)
def no_classroom_is_left() -> Iterator[None]:
    """Also not of a test that failed."""
    yield
    pizarra("classroom", "delete", "env", "--yes")


def disk_of(uuid: str) -> str:
    """The physical volume of a group."""
    select = ("-S", f"vg_uuid={uuid}")
    return command("pvs", "--noheadings", "-o", "pv_name", *select).strip()


def live(name: str, kind: StorageKind) -> None:
    """The life of a classroom: nothing of it may be refused."""
    where = ("--storage", kind, "--vg", VG)
    wish = ("--template", "boot", "--seats", "2", "--memory", "16M", "--network", "none", *where)
    for verb in (
        ("template", "list"),
        ("classroom", "create", name, *wish),
        ("classroom", "resize", name, "--seats", "3"),
        ("status", name),
        ("start", name, "1"),
        ("stop", name, "--grace", "0"),
        ("reset", name),
        ("verify", name),
        ("recover",),
        ("classroom", "delete", name, "--yes"),
    ):
        said = pizarra(*verb, "--json")
        assert said.status == 0, (verb, said.out, said.err)


def findings() -> dict[str, dict[str, Any]]:
    return {one["check"]: one for one in pizarra("host", "check", "--json").document["findings"]}


PRINTING = (
    "log/command_names=1", "log/report_command_log=1", "log/silent=1", "log/indent=1",
    'log/prefix="--"', "report/prefixes=1", "report/compact_output=1",
    "report/binary_values_as_numeric=1", 'report/list_item_separator=";"',
    "report/mark_hidden_devices=0", 'report/output_format="json"', 'global/units="h"',
    "global/suffix=0", "report/headings=0", 'report/separator="|"', "report/columns_as_rows=1",
)  # fmt: skip


@both
@pytest.mark.usefixtures("template")
def test_classroom_when_lvm_prints_otherwise_and_complains_then_it_lives_and_check_says_what_to_run(
    kind: StorageKind,
) -> None:
    with settings(*PRINTING, "log/no_such_key=1"):
        live("env", kind)
        found = findings()
        assert "log/no_such_key" in found["lvm-report"]["says"]
        assert found["lvm-report"]["mend"] == "lvmconfig --validate"
        assert found["lvm-printing"]["level"] == "advice"
        command("sh", "-c", found["lvm-printing"]["mend"])
        assert "lvm-printing" not in findings()


@thin
@pytest.mark.usefixtures("template")
def test_classroom_when_a_device_has_no_medium_then_it_lives(
    kind: StorageKind, tmp_path: Path
) -> None:
    with complaining(tmp_path, "/dev/sdz: open failed: No medium found"), settings():
        live("env", kind)
        found = findings()["lvm-report"]
        assert "No medium found" in found["says"]
        command("sh", "-c", found["mend"].replace("pvck", "pvck -y"))
        filters = command("lvmconfig", "devices/global_filter")
        assert filters.strip() == 'global_filter="r|^/dev/sdz$|"'


@thin
@pytest.mark.usefixtures("template")
def test_classroom_when_a_disk_is_in_no_group_then_it_lives(
    kind: StorageKind, tmp_path: Path
) -> None:
    with loose_disk(tmp_path) as device:
        live("env", kind)
        found = findings()["loose-disks"]
        assert device in found["says"]
        assert found["mend"] == f"vgextend {VG} {device}"


def test_host_check_when_lvm_lost_its_metadata_then_its_mend_brings_the_volumes_back(
    tmp_path: Path,
) -> None:
    """What the disk holds when the power fails between the metadata and their header."""
    with disk(tmp_path, "lost.img") as device:
        command("vgcreate", "-q", "lost", device)
        command("lvcreate", "-q", "-y", "-L", "8m", "-n", "work", "lost")
        Path("/dev/lost/work").write_bytes(b"a student's work")
        command("vgchange", "-q", "-an", "lost")
        with Path(device).open("r+b") as raw:
            raw.seek(4096 + 512)  # behind the header of the metadata area
            raw.write(bytes(MIB - 4096 - 512))
        found = findings()["volume-group lost"]
        assert device in found["says"]
        command("sh", "-c", found["mend"].replace("pvck", "pvck -y"))
        assert Path("/dev/lost/work").read_bytes().startswith(b"a student's work")
        assert findings()["volume-group lost"]["level"] != "unfit"
        command("vgremove", "-q", "-y", "lost")


@thin
@pytest.mark.usefixtures("template")
def test_classroom_when_our_own_environment_is_strange_then_it_lives(
    kind: StorageKind, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "lvm.conf").write_text("global/test=1\nlog/command_names=1\n")
    for name, value in {
        "LVM_SYSTEM_DIR": str(tmp_path), "LVM_VG_NAME": "none", "LVM_COMMAND_PROFILE": "none",
        "LVM_SUPPRESS_FD_WARNINGS": "", "LC_ALL": "es_ES.ISO-8859-1", "LANGUAGE": "es",
        "COLUMNS": "10", "TERM": "dumb",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    live("env", kind)


@thin
@pytest.mark.usefixtures("template")
def test_classroom_when_two_groups_of_others_have_one_name_then_it_lives(
    kind: StorageKind, tmp_path: Path
) -> None:
    with group(tmp_path, "vg_twin", "a"), group(tmp_path, "vg_twin", "b"):
        live("env", kind)
        found = findings()["volume-group vg_twin"]
        assert found["level"] == "warning"
        command("sh", "-c", found["mend"].replace("pvck", "pvck -y"))
        assert findings()["volume-group vg_twin"]["level"] == "good"


@both
@pytest.mark.usefixtures("template")
def test_classroom_when_another_group_has_the_name_of_ours_then_it_lives(
    kind: StorageKind, tmp_path: Path
) -> None:
    with group(tmp_path, VG, "twin") as uuid:
        live("env", kind)
        found = findings()[f"namesake {VG}"]
        assert (found["level"], found["mend"]) == ("warning", f"vgrename {uuid} {VG}_2")
        image = tmp_path / "new.img"
        image.write_bytes(bytes(MIB))
        where = ("--storage", kind, "--vg", VG)
        assert pizarra("template", "import", "new", str(image), *where).status == 0
        assert pizarra("template", "delete", "new", "--yes").status == 0
        theirs = command("vgs", "--noheadings", "-o", "vg_seqno", "-S", f"vg_uuid={uuid}")
        assert theirs.strip() == "1", "nobody wrote to it"
        command("sh", "-c", found["mend"])
        assert f"namesake {VG}" not in findings()


@thin
@pytest.mark.usefixtures("kind", "template")
def test_seats_when_nobody_can_tell_which_group_is_ours_then_they_say_so_until_one_is_renamed(
    tmp_path: Path,
) -> None:
    wish = ("--template", "boot", "--seats", "2", "--memory", "16M", "--network", "none")
    assert pizarra("classroom", "create", "env", *wish).status == 0
    with group(tmp_path, VG, "twin") as uuid:
        # as of another host of ours, whose disk somebody has plugged in
        only = ("--config", f'devices/filter=["a|^{disk_of(uuid)}$|","r|.*|"]')
        tag = ("--addtag", "pizarra.role=golden")
        command("lvcreate", "-q", "-an", "-Zn", "-Wn", "-l1", "-n", "x", *tag, VG, *only)
        (template,) = pizarra("template", "list", "--json").document
        assert uuid in template["fault"]
        said = pizarra("status", "env", "--json")
        assert {one["outcome"] for one in said.document["seats"]} == {"unknown"}
        assert pizarra("reset", "env", "--json").status != 0
        check_refused(pizarra("classroom", "create", "new", *wish))
        image = tmp_path / "new.img"
        image.write_bytes(bytes(MIB))
        check_refused(pizarra("template", "import", "new", str(image), "--vg", VG))
        found = findings()[f"volume-group {VG}"]
        assert (found["level"], found["mend"]) == ("unfit", f"vgrename {uuid} {VG}_2")
        command("sh", "-c", found["mend"].replace("pvck", "pvck -y"))
        assert pizarra("reset", "env").status == 0
    assert pizarra("classroom", "delete", "env", "--yes").status == 0


@both
@pytest.mark.usefixtures("template")
def test_classroom_when_lvm_is_in_test_mode_then_it_lives_and_host_check_says_so(
    kind: StorageKind,
) -> None:
    with settings("global/test=1", "global/wait_for_locks=0"):
        live("env", kind)
        found = findings()["lvm-setting global/test"]
        assert found["level"] == "warning"
        command("sh", "-c", found["mend"])
        assert "lvm-setting global/test" not in findings()
