"""The README's own commands, followed to the letter on a freshly installed host."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from lab.host.install import CHECKOUT, INSTALL_S, put_checkout
from lab.host.machine import RunningHost
from lab.host.suite import Suite
from lab.places import BUILD
from tests.debian.health import problems

README = Path(__file__).parents[2] / "README.md"


def readme_commands() -> list[str]:
    """Of the section on a host of one's own, the first block, without its remarks."""
    section = README.read_text(encoding="utf-8").partition("## On your own KVM host")[2]
    block = section.split("```")[1]
    return [re.sub(r"\s+#.*", "", line) for line in block.strip().splitlines()]


def test_readme_when_followed_then_twelve_original_machines_run(
    bare_host: RunningHost, suite: Suite
) -> None:
    put_checkout(bare_host)
    guest = "qemu-img convert -f raw -O qcow2 /root/guest.img debian-12.qcow2"
    assert bare_host.shell.run(f"cd {CHECKOUT} && {guest}").returncode == 0
    took_s = {}
    for command in readme_commands():
        began = time.monotonic()
        done = bare_host.shell.run(f"cd {CHECKOUT} && {{ {command}; }} 2>&1", INSTALL_S)
        took_s[command] = round(time.monotonic() - began, 1)
        assert done.returncode == 0, f"{command}: {done.stdout.decode(errors='replace')[-3000:]}"
    (BUILD / f"host/readme-{suite}.json").write_text(json.dumps(took_s, indent=1) + "\n")
    status = json.loads(bare_host.shell.run("pizarra status net --json", 300).stdout)
    assert [seat["power"] for seat in status["seats"]] == ["running"] * 12
    assert problems(bare_host) == []
