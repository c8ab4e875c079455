"""Real machines start from saved RAM, on disks of the same moment."""

from __future__ import annotations

from pathlib import Path

from pizarra.service.context import Context
from pizarra.storage.kinds import Kind
from tests.contract.storage_lvm import VG
from tests.fixtures.command import pizarra
from tests.lab.conftest import command
from tests.lab.school import School, eventually
from tests.lab.test_adopt import with_pool
from tests.lab.test_firmware import run_seats


def test_reset_when_warm_then_the_machine_has_booted_already(
    lab: Context, bootsector: Path
) -> None:
    """The guest counts its boots on its disk. A machine that starts from RAM does not count."""
    with_pool()
    import_ = ("template", "import", "boot", str(bootsector), "--vg", VG)
    assert run_once(*import_)["template"] == "boot"
    wish = ("--template", "boot", "--seats", "2", "--memory", "16M", "--vcpus", "1")
    run_seats("classroom", "create", "warm", *wish, "--network", "none")
    room = School(context=lab, kind=Kind.LVM_THIN, name="warm")
    made = run_seats("classroom", "warm", "warm", "--settle", "20", "--yes")
    assert {one["outcome"] for one in made.values()} == {"done"}
    assert "shut off" in command("virsh", "domstate", "warm-01")

    run_seats("start", "warm")
    room.await_boots(1, 1, 2)
    room.press_reset(1, 2)  # a lesson: the disks have changed
    before = room.process(1)
    done = run_seats("reset", "warm", "--mode", "warm")
    assert {(one["outcome"], one["reason"], one["verified"]) for one in done.values()} == {
        ("done", None, True)
    }
    assert room.process(1) != before
    eventually("it runs", lambda: "running" in command("virsh", "domstate", "warm-01"))
    assert (room.boots(1), room.boots(2)) == (1, 1), (
        "as when they were made warm, and no boot since"
    )
    room.press_reset(1)  # alive: it hears the reset button and boots
    assert room.boots(1) == 2

    run_seats("checkpoint", "save", "warm", "lesson", "1", "--ram")
    assert room.boots(1) == 2
    run_seats("reset", "warm", "1")
    room.await_boots(1, 1)
    run_seats("checkpoint", "restore", "warm", "lesson", "1")
    assert room.boots(1) == 2, "it goes on where it was"
    run_once("classroom", "delete", "warm", "--yes")
    assert not list(lab.host.states.folder.glob("*.ram"))


def run_once(*argv: str) -> dict[str, object]:
    said = pizarra(*argv, "--json")
    assert said.status == 0, (said.out, said.err)
    return dict(said.document)
