"""A real system on a logical volume, and a student with root on it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

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
from tests.lab.school import console

IMAGE = ROOT / "build" / "guests" / "debian.qcow2"


@pytest.fixture
def student(host: Context, kind: StorageKind) -> Iterator[Student]:
    """A student at the machine of a classroom of one. The classroom is removed at the end."""
    subprocess.run([ROOT / "guests" / "debian" / "build"], check=True, capture_output=True)
    before, where = host_state(host.host), ("--storage", kind, "--vg", VG)
    done = pizarra("template", "import", "debian", str(IMAGE), *where)
    assert done.status == 0, done.err
    wish = ("--template", "debian", "--seats", "1", "--memory", "384M", "--vcpus", "1")
    done = pizarra("classroom", "create", "real", *wish, "--network", "none")
    assert done.status == 0, done.err
    assert verbs.start(host, "real").exit_status == 0
    compute = host.host.compute
    assert isinstance(compute, LibvirtCompute)
    seat = host.host.observe().classroom("real").seats[0]
    # an agent in an emulator in an emulator takes longer than the 5 s that libvirt gives one
    command("virsh", "guest-agent-timeout", seat.name, "--timeout", "60")
    with console(seat.name) as said:
        yield Student(compute=compute, machine=seat.domain_uuid, console=said)
    verbs.stop(host, "real", grace_s=0)
    assert pizarra("classroom", "delete", "real", "--yes").status == 0
    assert pizarra("template", "delete", "debian", "--yes").status == 0
    assert host_state(host.host) == before


@pytest.mark.parametrize("kind", [Kind.LVM_THIN], indirect=True, scope="session")
def test_reset_when_a_student_had_root_then_the_system_is_as_on_the_first_day(
    student: Student, host: Context
) -> None:
    student.wait_until_booted()
    student.misbehave()
    (status,) = verbs.status(host, "real").seats
    assert status.extra["changed_bytes"] > 3_000_000
    process = command("pgrep", "-f", "guest=real-01,")
    said = pizarra("reset", "real", "--mode", "hot", "--json")
    assert (said.status, said.seats) == (0, {"real-01": "done"}), said.err
    student.wait_until_booted()
    student.check_original()
    assert command("pgrep", "-f", "guest=real-01,") == process
