"""A class of version ab156f6 in use: this version takes it over, and that version can have it back.

That version runs from its own sources (``git archive``), with the libraries of this one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pizarra.service.context import Context
from pizarra.storage.kinds import Kind
from tests.contract.storage_lvm import VG
from tests.lab.conftest import ROOT, command
from tests.lab.school import School
from tests.lab.test_adopt import with_pool

_LIMIT_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A Pizarra by the folder of its sources."""

    sources: Path
    folder: Path

    def run(self, *argv: str | Path, module: str = "pizarra") -> str:
        """Run a command of it; a failure fails the test with its words."""
        done = subprocess.run(
            [sys.executable, "-m", module, *map(str, argv)], capture_output=True, text=True,
            env=os.environ | {"PYTHONPATH": f"{self.sources}:{ROOT}", "PIZARRA_VG": VG,
                              "PIZARRA_FOLDER": str(self.folder)},
            cwd=self.sources, timeout=_LIMIT_S, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            pytest.fail(f"{argv}: {done.stdout}{done.stderr}", pytrace=False)
        return done.stdout

    def seats(self, *argv: str | Path) -> dict[str, Any]:
        """Run a verb; each seat of its answer is done or unchanged."""
        seats = {one["seat"]: one for one in json.loads(self.run(*argv, "--json"))["seats"]}
        assert {one["outcome"] for one in seats.values()} <= {"done", "unchanged"}, seats
        return seats


@pytest.fixture
def versions(lab: Context, tmp_path: Path) -> tuple[Version, Version]:
    """That one and this one, on the same host."""
    sources = tmp_path / "old"
    sources.mkdir()
    git = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "archive", "ab156f6", "src"]
    archive = subprocess.run(git, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-C", str(sources), "-x"], input=archive, check=True)
    folder = lab.host.settings.folder
    old = Version(sources=sources / "src", folder=folder)
    return old, Version(sources=ROOT / "src", folder=folder)


def write_work(room: School, numbers: Sequence[int], work: bytes) -> None:
    """Students write on disks of machines that are off."""
    for number in numbers:
        with Path(f"/dev/{room.disk(number)}").open("r+b") as disk:
            disk.seek(1 << 20)
            disk.write(work.ljust(4096))
            os.fsync(disk.fileno())


def works(room: School, *numbers: int) -> list[bytes]:
    read = []
    for number in numbers:
        with Path(f"/dev/{room.disk(number)}").open("rb") as disk:
            disk.seek(1 << 20)
            read.append(disk.read(4096).strip(b" \0"))
    return read


def processes() -> str:
    return command("pgrep", "-f", "qemu-system.*guest=net-")


def test_host_when_upgraded_with_a_class_in_use_and_back_then_nothing_is_lost(
    lab: Context, versions: tuple[Version, Version], bootsector: Path
) -> None:
    old, new = versions
    room = School(context=lab, kind=Kind.LVM_THIN, name="net")
    with_pool()
    old.run("template", "import", "boot", bootsector, "--vg", VG)
    wish = ("--template", "boot", "--seats", "3", "--memory", "16M", "--vcpus", "1")
    old.run("classroom", "create", "net", *wish, "--network", "none")
    old.seats("classroom", "warm", "net", "--settle", "20", "--yes")
    write_work(room, (1, 2, 3), b"saved")
    old.seats("checkpoint", "save", "net", "lesson")
    write_work(room, (1, 2, 3), b"of the last lesson")
    old.seats("reset", "net", "--off")
    old.seats("start", "net", "2-3")
    running = processes()

    new.run("recover")
    assert processes() == running, "machines ran on"
    status = json.loads(new.run("status", "net", "--json"))
    assert [one["power"] for one in status["seats"]] == ["off", "running", "running"]
    new.seats("stop", "net")
    new.seats("undo", "net", "1")
    assert works(room, 1) == [b"of the last lesson"]
    new.seats("checkpoint", "restore", "net", "lesson", "2")
    assert works(room, 2) == [b"saved"]
    new.seats("reset", "net", "3", "--mode", "warm", "--start")
    assert "running" in command("virsh", "domstate", "net-03"), "its RAM was of the old version"
    new.seats("stop", "net")
    write_work(room, (1,), b"of this lesson")
    new.seats("reset", "net", "--off")
    new.seats("verify", "net")

    assert "All labels are in format 1" in new.run(module="tools.format_1")
    assert "lesson" in old.run("checkpoint", "list", "net")
    old.seats("verify", "net")
    old.seats("undo", "net", "1")
    assert works(room, 1) == [b"of this lesson"]
    old.seats("checkpoint", "restore", "net", "lesson", "2")
    assert works(room, 2) == [b"saved"]
    old.seats("reset", "net", "--mode", "warm")
    old.seats("reset", "net", "--off")

    new.run("recover")  # and here again
    new.seats("verify", "net")
    new.run("classroom", "delete", "net", "--yes")
    new.run("template", "delete", "boot", "--yes")
