"""LVM was cut off in a change of a pool, and refuses every change until `pizarra recover`."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pizarra.service.context import Context
from tests.contract.storage_lvm import POOL, VG
from tests.fixtures.command import pizarra
from tests.lab.conftest import command
from tests.lab.foreign import check_pool
from tests.lab.test_adopt import with_pool
from tests.lab.test_firmware import run_seats


def cut_off_in(volume: str, file: Path) -> None:
    """Bring LVM's metadata into the state of a power cut in the creation of a volume.

    The pool has got the message for the volume, and has not counted the transaction yet.
    """
    command("vgcfgbackup", "-f", file, VG)
    text = file.read_text()
    pool = text[text.index(f"\n\t\t{POOL} {{") :]
    line = next(one for one in pool.splitlines() if "transaction_id" in one)
    number = int(line.split("=")[1])
    message = f'\n\t\t\t\tmessage1 {{\n\t\t\t\t\tcreate = "{volume}"\n\t\t\t\t}}'
    changed = line.replace(str(number), str(number + 1)) + message
    file.write_text(text.replace(pool, pool.replace(line, changed, 1)))
    command("vgcfgrestore", "-y", "--force", "-f", file, VG)


def test_recover_when_lvm_was_cut_off_in_a_pool_then_it_can_be_changed_again(
    lab: Context, bootsector: Path, tmp_path: Path
) -> None:
    with_pool()
    assert pizarra("template", "import", "boot", str(bootsector), "--vg", VG).status == 0
    wish = ("--template", "boot", "--seats", "2", "--memory", "16M", "--network", "none")
    run_seats("classroom", "create", "cut", *wish)
    cut_off_in("cut-02.vda", tmp_path / "group")
    refused = subprocess.run(
        ["lvcreate", "-y", "-V", "8m", "-T", f"{VG}/{POOL}", "-n", "theirs"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode, "LVM would have gone on: this test shows nothing"
    said = pizarra("recover")
    assert (said.status, "cut off in is ended" in said.err) == (0, True), said.err
    assert "cut off" not in pizarra("recover").err, "twice is once"
    command("lvcreate", "-y", "-V", "8m", "-T", f"{VG}/{POOL}", "-n", "theirs")
    command("lvremove", "-y", f"{VG}/theirs")
    assert run_seats("verify", "cut", "--deep")["cut-02"]["verified"] is True
    assert pizarra("classroom", "delete", "cut", "--yes").status == 0
    assert lab.host.observe().classrooms == {}
    assert pizarra("template", "delete", "boot", "--yes").status == 0
    check_pool()
