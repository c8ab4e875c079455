"""UEFI variables and an emulated TPM go back with the disks: real OVMF, real swtpm."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from pizarra.compute.domain_edit import StateFiles, state_files_of
from pizarra.model.facts import Power, Seat, StorageKind
from pizarra.service.adopt import Wish, adopt
from pizarra.service.context import Context
from pizarra.storage.kinds import Kind
from pizarra.system.file_copies import same_content
from tests.contract.storage_lvm import POOL, VG, lvm
from tests.fixtures.command import pizarra
from tests.fixtures.windows import WINDOWS, disk, machine
from tests.lab.conftest import command
from tests.lab.school import eventually
from tests.lab.test_adopt import define_machine, with_pool

MARK = b"left by a student"


def the_seat(lab: Context, classroom: str, number: int = 1) -> Seat:
    return next(s for s in lab.host.observe().classroom(classroom).seats if s.number == number)


def files(lab: Context, seat: Seat) -> StateFiles:
    return state_files_of(lab.host.compute.xml(seat.domain_uuid))


def original(lab: Context, seat: Seat) -> Path:
    return lab.host.states.folder / seat.baselines[seat.volumes[0].uuid].uuid


def mark_nvram(nvram: Path) -> None:
    """Change the file as if the guest had set a variable."""
    with nvram.open("r+b") as file:
        file.seek(-1000, 2)
        file.write(MARK)


def run_seats(*argv: str, status: int = 0) -> dict[str, dict[str, object]]:
    said = pizarra(*argv, "--json")
    assert said.status == status, (said.out, said.err)
    return {one["seat"]: one for one in said.document["seats"]}


@pytest.mark.parametrize("kind", [Kind.LVM_THIN])
def test_reset_when_uefi_and_tpm_then_both_are_the_originals_and_proven(
    lab: Context, bootsector: Path, kind: StorageKind
) -> None:
    """OVMF writes variables when it starts, and the TPM counts its starts."""
    with_pool()
    how = ("--firmware", "uefi", "--tpm", "--storage", kind, "--vg", VG)
    assert pizarra("template", "import", "secure", str(bootsector), *how).status == 0
    wish = ("--template", "secure", "--seats", "2", "--memory", "64M", "--vcpus", "1")
    run_seats("classroom", "create", "uefi", *wish, "--network", "none")
    assert {one["verified"] for one in run_seats("status", "uefi").values()} == {True}

    run_seats("start", "uefi", "1")
    seat = the_seat(lab, "uefi")
    there = files(lab, seat)
    assert there.nvram and there.tpm
    nvram = there.nvram
    blank = nvram.read_bytes()
    eventually("OVMF wrote a variable", lambda: nvram.read_bytes() != blank)
    assert any(there.tpm.rglob("*permall"))

    hot = pizarra("reset", "uefi", "1", "--mode", "hot", "--json")
    assert (hot.status, "NVRAM, TPM" in hot.err) == (2, True), (hot.out, hot.err)

    run_seats("stop", "uefi", "1", "--grace", "0")
    told = run_seats("status", "uefi", "1")["uefi-01"]
    assert told["verified"] is False, told
    assert run_seats("verify", "uefi", "1", "--deep", status=1)["uefi-01"]["verified"] is False
    done = run_seats("reset", "uefi")
    assert {name: one["outcome"] for name, one in done.items()} == {
        "uefi-01": "done",
        "uefi-02": "unchanged",
    }
    kept = original(lab, seat)
    assert same_content(kept / "nvram", there.nvram)
    assert same_content(kept / "tpm", there.tpm)
    assert run_seats("verify", "uefi", "--deep")["uefi-01"]["verified"] is True

    run_seats("undo", "uefi", "1")
    assert there.nvram.read_bytes() != blank, "the student's variables are back"
    assert any(there.tpm.rglob("*permall"))
    run_seats("checkpoint", "save", "uefi", "lesson", "1")
    students = there.nvram.read_bytes()
    run_seats("reset", "uefi", "1")
    assert not there.nvram.exists()
    run_seats("checkpoint", "restore", "uefi", "lesson", "1")
    assert there.nvram.read_bytes() == students

    run_seats("reset", "uefi", "1", "--start")  # it starts from a blank state, as on the first day
    eventually("OVMF wrote a variable", there.nvram.exists)
    assert pizarra("classroom", "delete", "uefi", "--yes").status == 0
    assert not there.nvram.exists()
    assert not there.tpm.exists()
    assert pizarra("template", "delete", "secure", "--yes").status == 0
    assert not list(lab.host.states.folder.iterdir()), "nothing of theirs is left"


def test_adopted_when_uefi_then_its_boot_entries_are_part_of_the_original(lab: Context) -> None:
    with_pool()
    lvm("lvcreate", "-y", "-V", "32m", "-T", f"{VG}/{POOL}", "-n", "theirs")
    xml = define_machine("theirs", f"/dev/{VG}/theirs", "--boot", "uefi")
    nvram = state_files_of(xml).nvram
    assert nvram
    lab.host.compute.start(lab.host.compute.find("theirs").uuid)  # type: ignore[union-attr]
    eventually("it has variables", nvram.exists)
    time.sleep(1)
    command("virsh", "-q", "destroy", "theirs")
    before = nvram.read_bytes()
    (outcome,) = adopt(lab, ["theirs"], Wish()).seats
    assert outcome.verified, outcome

    mark_nvram(nvram)
    told = run_seats("status", "adopted")["theirs"]
    assert (told["verified"], told["reason"]) == (False, "its NVRAM is not the original")
    assert run_seats("reset", "adopted")["theirs"]["outcome"] == "done"
    assert nvram.read_bytes() == before
    assert pizarra("classroom", "delete", "adopted", "--yes").status == 0
    assert nvram.read_bytes() == before, "it is theirs, and stays"
    assert not list(lab.host.states.folder.iterdir())


def test_template_when_of_an_old_machine_then_its_volumes_carry_the_hardware_and_a_seat_boots(
    lab: Context, bootsector: Path, tmp_path: Path
) -> None:
    with_pool()
    lvm("lvcreate", "-y", "-V", "64m", "-T", f"{VG}/{POOL}", "-n", "old")
    command("dd", f"if={bootsector}", f"of=/dev/{VG}/old", "oflag=direct", "bs=1M")
    cpu = "<cpu mode='custom'><model>Haswell</model></cpu>"
    source = disk(f"/dev/{VG}/old").replace("type='file'", "type='block'").replace("file=", "dev=")
    xml = tmp_path / "old.xml"
    xml.write_text(machine(source, cpu=cpu, vcpus=1))
    command("virsh", "-q", "define", str(xml))
    imported = pizarra("template", "import", "old", "--from-domain", "win", "--vg", VG, "--json")
    assert imported.status == 0, imported.err
    expected = replace(WINDOWS, cpu="Haswell", sockets="many")
    assert imported.document["hardware"] == expected.to_dict()
    wish = ("--template", "old", "--seats", "1", "--memory", "64M", "--network", "none")
    run_seats("classroom", "create", "olds", *wish)
    seat = the_seat(lab, "olds")
    assert seat.labels.hardware == expected
    tags = lvm("lvs", "--noheadings", "-o", "tags", f"{VG}/olds-01.vda")
    assert f"pizarra.hardware={expected}" in tags
    run_seats("start", "olds")
    eventually("it boots", lambda: is_off_when_asked(lab, seat.domain_uuid))
    assert run_seats("reset", "olds")["olds-01"]["outcome"] == "done"


def is_off_when_asked(lab: Context, uuid: str) -> bool:
    """The guest obeys the power button once it has booted."""
    lab.host.compute.ask_to_stop(uuid)
    found = {one.uuid: one.power for one in lab.host.compute.observe()}
    return found[uuid] is Power.OFF


def test_template_when_of_a_uefi_machine_then_seats_have_its_variables(lab: Context) -> None:
    with_pool()
    lvm("lvcreate", "-y", "-V", "32m", "-T", f"{VG}/{POOL}", "-n", "golden")
    xml = define_machine("golden", f"/dev/{VG}/golden", "--boot", "uefi")
    nvram = state_files_of(xml).nvram
    assert nvram
    lab.host.compute.start(lab.host.compute.find("golden").uuid)  # type: ignore[union-attr]
    eventually("it has variables", nvram.exists)
    command("virsh", "-q", "destroy", "golden")
    mark_nvram(nvram)
    assert pizarra("template", "import", "win", "--from-domain", "golden", "--vg", VG).status == 0
    wish = ("--template", "win", "--seats", "1", "--memory", "64M", "--network", "none")
    run_seats("classroom", "create", "wins", *wish)
    there = files(lab, the_seat(lab, "wins")).nvram
    assert there
    assert there.read_bytes() == nvram.read_bytes()
    there.write_bytes(b"ruined")
    assert run_seats("reset", "wins")["wins-01"]["outcome"] == "done"
    assert there.read_bytes() == nvram.read_bytes()

    kept = lab.host.states.folder / the_seat(lab, "wins").labels.baseline
    kept.rename(kept.with_name("lost"))
    there.write_bytes(b"ruined again")
    lost = run_seats("reset", "wins", status=1)["wins-01"]
    assert lost["outcome"] == "failed"
    assert "is not there" in str(lost["reason"])
