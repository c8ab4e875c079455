"""Runs the guide's commands, one after another, on a real libvirt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.fixtures.libvirt import Libvirt
from tests.meta.doc_commands import read_blocks

GUIDE = Path("docs/guide.md")


def test_guide_when_followed_then_every_command_does_what_it_says(
    libvirt_host: Libvirt, tmp_path: Path
) -> None:
    image = tmp_path / "debian-12.qcow2"
    guest = Path("build/guests/bootsector.img")
    convert = ["qemu-img", "convert", "-O", "qcow2", str(guest), str(image)]
    subprocess.run(convert, check=True)
    (tmp_path / "net.yaml").write_text(
        "{classroom: net, template: debian, seats: 3, memory: 16M, vcpus: 1, network: none,"
        " after_reset: running, undo_hours: 72}"
    )
    given = (f"PIZARRA_FOLDER={tmp_path / 'disks'}", f"PIZARRA_LIBVIRT_URI={libvirt_host.uri}",
             f"PIZARRA_STATE_FOLDER={tmp_path / 'state'}", f"PIZARRA_RUN_FOLDER={tmp_path / 'run'}",
             "PIZARRA_GRACE_S=90", f"PYTHONPATH={Path.cwd()}/src")  # fmt: skip
    run = (sys.executable, "-c", "from pizarra.cli.main import run; run()")
    found = list(read_blocks(GUIDE.read_text(encoding="utf-8")))
    assert len(found) > 15
    for told in found:
        assert told.words[0] == "pizarra"
        done = subprocess.run(
            [*libvirt_host.prefix, "env", "-C", str(tmp_path), *given, *run, *told.words[1:]],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (told.line, done.stdout, done.stderr)
    assert [path for path in (tmp_path / "disks").rglob("*") if path.is_file()] == []
