"""The package's life: upgraded, removed, put back, purged. Machines run on through all of it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from lab.host.install import copy_in, install_package, must, package_of
from lab.host.machine import RunningHost
from lab.host.suite import Suite
from lab.places import REPO
from tests.debian.health import problems

_APT = "DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600"


# a job that waits, and how it ended, when the pump has had time for it
_WAITING = """
user = User.objects.get(username="technician")
given = {"classroom": "net"}
Job.objects.create(host="local", use_case="verify", arguments=given, classroom="net", user=user)
"""
_ENDED = """
import time
for _ in range(600):
    state = Job.objects.get().state
    if state not in ("queued", "running"):
        break
    time.sleep(1)
print(state)
"""


@pytest.fixture(scope="module")
def package(suite: Suite) -> Path:
    found = package_of(suite)
    assert found, "run `make deb` first"
    return found


def next_version(package: Path, folder: Path) -> Path:
    """The same package under a higher version, as the next release would be."""
    tree = folder / "tree"
    subprocess.run(["dpkg-deb", "-R", str(package), str(tree)], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace("~deb", ".1~deb", 1))
    target = folder / package.name.replace("~deb", ".1~deb")
    build = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", str(tree), str(target)]
    subprocess.run(build, check=True, capture_output=True)
    return target


def ask_server(host: RunningHost, code: str) -> str:
    """What these lines print, run as the pages with their database."""
    lines = f"""
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "pizarra.server.project.settings"
django.setup()
from pizarra.server.jobs.models import Job
from pizarra.server.people.models import User
{code}
"""
    python = "cd / && runuser -u pizarra -- /usr/lib/pizarra/bin/python -"
    return must(host, python, lines.encode()).strip()


def machines(host: RunningHost) -> str:
    """Each QEMU's process and each volume: what nothing of this may change."""
    volumes = "lvs --noheadings -o lv_name,lv_size vg0"
    return must(host, f"pgrep -af qemu-system | cut -d' ' -f1; {volumes}")


def test_package_when_upgraded_removed_and_purged_then_machines_and_volumes_stay(
    host: RunningHost, package: Path, tmp_path: Path
) -> None:
    must(host, "pizarra template import deb /root/guest.img --storage lvm-thin --vg vg0")
    must(host, "pizarra classroom create net --template deb --seats 2 --memory 64M")
    must(host, "pizarra start net && systemctl enable -q --now pizarra.service")
    must(host, "echo 'undo_hours = 20' >>/etc/pizarra/pizarra.toml")
    must(host, "systemctl stop pizarra-pages")
    ask_server(host, _WAITING)
    before = machines(host)

    install_package(host, next_version(package, tmp_path))
    assert machines(host) == before
    units = "pizarra.service pizarra-pages.service pizarra-guard.timer pizarra-fence.service"
    must(host, f"systemctl is-active {units}")
    assert "undo_hours = 20" in must(host, "cat /etc/pizarra/pizarra.toml")
    assert ask_server(host, _ENDED) == "ended"
    assert ".1~deb" in must(host, "dpkg-query -W -f='${Version}' pizarra")

    must(host, f"{_APT} remove pizarra")
    assert machines(host) == before
    assert host.shell.run("command -v pizarra").returncode == 1
    assert host.shell.run("pgrep -f /usr/lib/pizarra").stdout == b"", "no part of it runs on"
    assert "pizarra.toml" in must(host, "ls /etc/pizarra")
    assert problems(host) == []

    copy_in(host, package, f"/root/{package.name}")
    must(host, f"{_APT} install --allow-downgrades /root/{package.name}")
    must(host, "pizarra reset net --off --json && pizarra verify net")

    before = machines(host)
    must(host, f"{_APT} purge pizarra")
    assert machines(host) == before
    assert "gone" in must(host, "ls /etc/pizarra /var/lib/pizarra/server 2>/dev/null || echo gone")
    assert problems(host) == []


def test_package_when_built_twice_then_the_same_bytes(suite: Suite, tmp_path: Path) -> None:
    assert build_package(suite, tmp_path) == build_package(suite, tmp_path)


def build_package(suite: Suite, folder: Path) -> bytes:
    environment = os.environ | {"DEB_OUT": str(folder)}
    subprocess.run(["packaging/build", suite], cwd=REPO, env=environment, check=True)
    return next(folder.glob("*.deb")).read_bytes()


def test_units_when_analyzed_then_no_more_open_than_the_documents_say(
    host: RunningHost, package: Path
) -> None:
    install_package(host, package)
    limits = {"pizarra-fence": 2.5, "pizarra": 7.3, "pizarra-guard": 7.3, "pizarra-recover": 7.3}
    for unit, most in limits.items():
        told = must(host, f"systemd-analyze security --no-pager {unit}.service")
        found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)
        assert found and float(found[1]) <= most, told
