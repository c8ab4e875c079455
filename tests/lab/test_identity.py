"""Gives real systems their identities, by cloud-init and by their agents."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pizarra.compute.libvirt_driver import LibvirtCompute
from pizarra.model.facts import StorageKind
from pizarra.service import verbs
from pizarra.service.context import Context
from pizarra.storage.kinds import Kind
from tests.contract.storage_lvm import VG
from tests.fixtures.command import pizarra
from tests.fixtures.host_state import host_state
from tests.fixtures.student import Student
from tests.lab.conftest import ROOT, command

IMAGES = {"by-agent": "debian.qcow2", "by-cloud-init": "cloud.qcow2"}
EXTRA = {"by-agent": "", "by-cloud-init": "cloud-init,openssh-server"}
NUMBERS = (1, 2)
WHO = """
    cat /etc/hostname /etc/machine-id
    hostname
    id -un student
    grep ^student: /etc/shadow | cut -d: -f2
    cat /etc/ssh/ssh_host_ed25519_key.pub 2>/dev/null || echo no keys
"""


@pytest.fixture(params=IMAGES)
def classroom(
    host: Context, kind: StorageKind, request: pytest.FixtureRequest
) -> Iterator[dict[int, Student]]:
    """A classroom of two machines with a real system. It is removed at the end."""
    image = ROOT / "build" / "guests" / IMAGES[request.param]
    extra = {"DEBIAN_EXTRA": EXTRA[request.param]}
    build = [str(ROOT / "guests" / "debian" / "build"), str(image)]
    subprocess.run(["env", *(f"{k}={v}" for k, v in extra.items()), *build], check=True)
    before, where = host_state(host.host), ("--storage", kind, "--vg", VG)
    done = pizarra("template", "import", "system", str(image), *where)
    assert done.status == 0, done.err
    wish = ("--template", "system", "--seats", "2", "--memory", "512M", "--vcpus", "1")
    done = pizarra("classroom", "create", "real", *wish, "--network", "none")
    assert done.status == 0, done.err
    compute = host.host.compute
    assert isinstance(compute, LibvirtCompute)
    seats = host.host.observe().classroom("real").seats
    yield {one.number: Student(compute=compute, machine=one.domain_uuid) for one in seats}
    verbs.stop(host, "real", grace_s=0)
    assert pizarra("classroom", "delete", "real", "--yes").status == 0
    assert pizarra("template", "delete", "system", "--yes").status == 0
    assert host_state(host.host) == before


@pytest.mark.parametrize("kind", [Kind.LVM_THIN], indirect=True, scope="session")
def test_identify_when_guests_are_real_then_each_is_itself_after_every_reset(
    classroom: dict[int, Student], host: Context, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("tiza y pizarra\n", encoding="utf-8")
    account = ("--user", "student", "--password-file", str(secret))
    said = pizarra("classroom", "identify", "real", *account, "--yes", "--json")
    assert (said.status, said.seats) == (0, {"real-01": "done", "real-02": "done"}), said
    assert not list(host.host.settings.seed_folder.glob("*"))
    assert verbs.start(host, "real").exit_status == 0
    told = {number: _who(classroom[number]) for number in NUMBERS}
    for number, seat in enumerate(host.host.observe().classroom("real").seats, start=1):
        name, machine_id, live, user, password, _ = told[number]
        assert (name, live, user) == (seat.name, seat.name, "student")
        assert machine_id == seat.domain_uuid.replace("-", "")
        _check_password(password, "tiza y pizarra")
    keys = {told[number][5] for number in NUMBERS}
    assert len(keys) == (2 if "no keys" not in keys else 1)
    classroom[1].run("echo hacked >/etc/hostname; userdel -r student; rm -rf /etc/ssh; sync")
    said = pizarra("reset", "real", "--json")
    assert (said.status, said.seats) == (0, {"real-01": "done", "real-02": "done"}), said
    assert {number: _who(classroom[number]) for number in NUMBERS} == told


def _who(student: Student) -> list[str]:
    student.wait_until_booted()
    status, said = student.run(WHO)
    assert status == 0, said
    return said.splitlines()


def _check_password(found: str, password: str) -> None:
    _, method, salt, _ = found.split("$")
    again = command("openssl", "passwd", f"-{method}", "-salt", salt, password)
    assert found == again.strip()
