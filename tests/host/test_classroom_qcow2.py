"""The life of classrooms on qcow2 files, with a real libvirt and real guests: no lab needed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pizarra.compute.libvirt_driver import LibvirtCompute
from pizarra.engine.host import Host, RealStorages
from pizarra.errors import Unsupported
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.facts import Power
from pizarra.model.outcome import Mode, Outcome, Report
from pizarra.model.policy import After
from pizarra.model.sizes import MIB
from pizarra.planner.identity import Person
from pizarra.planner.warm import WARM
from pizarra.service import (
    checkpoints,
    classrooms,
    creation,
    identity,
    identity_offline,
    recover,
    templates,
    verbs,
    warm,
)
from pizarra.service.context import Context
from pizarra.settings import Settings
from pizarra.storage.kinds import Kind
from tests.contract.storage_qcow2 import image_read
from tests.fixtures.host_state import host_state
from tests.fixtures.libvirt import Libvirt
from tests.fixtures.student import Student

GUESTS = Path(__file__).parents[2] / "guests"
DEBIAN = GUESTS.parent / "build" / "guests" / "debian.qcow2"
LIMIT_S = 300.0  # patience for a loaded machine, never a measurement
QCOW2 = Kind.QCOW2


@dataclass(frozen=True, slots=True, kw_only=True)
class School:
    """A host with its own libvirt and a folder for disks."""

    context: Context
    compute: LibvirtCompute
    libvirt: Libvirt
    folder: Path

    def create_classroom(self, name: str, template: str, image: Path, **wish: Any) -> None:
        """Create a template and a classroom of it."""
        sources = templates.source_of_file(image)
        templates.import_template(self.context, template, sources, kind=QCOW2)
        spec = ClassroomSpec(name=name, template=template, network="none", vcpus=1, **wish)
        assert classrooms.create(self.context, spec).exit_status == 0

    def boots(self, seat: str) -> int | None:
        """How often the boot-sector guest has booted: it counts on its disk.

        ``None`` when the machine wrote to a new cluster just now: who reads an image beside its
        QEMU has its length of a moment before, and reads zeros behind it.
        """
        block = image_read(self.folder / "seats" / f"{seat}.vda.qcow2", 4096, 4096)
        if not any(block):
            return None
        assert block.startswith(b"PIZARRA STATE"), block[:32]
        return int.from_bytes(block[16:20], "little")

    def await_boots(self, count: int, *seats: str) -> None:
        for seat in seats:
            deadline = time.monotonic() + LIMIT_S
            while (boots := self.boots(seat)) != count:
                assert time.monotonic() < deadline, f"{seat} booted {boots} times, not {count}"
                time.sleep(0.2)

    def virsh(self, *argv: str) -> str:
        return self.libvirt.inside("virsh", "-q", "-c", self.libvirt.uri, *argv)

    def command(self, *argv: str) -> tuple[int, Any]:
        """Run the command beside this school's libvirtd; returns its status and JSON document."""
        settings = (
            f"PIZARRA_FOLDER={self.folder}",
            f"PIZARRA_STATE_FOLDER={self.folder}-state",
            f"PIZARRA_RUN_FOLDER={self.folder}-run",
            f"PIZARRA_LIBVIRT_URI={self.libvirt.uri}",
        )
        run = (sys.executable, "-c", "from pizarra.cli.main import run; run()")
        whole = [*self.libvirt.prefix, "env", *settings, *run, *argv, "--json"]
        done = subprocess.run(whole, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout)


@pytest.fixture
def school(libvirt_host: Libvirt, tmp_path: Path) -> Iterator[School]:
    """An empty school. It must be empty again afterwards."""
    folder = tmp_path / "disks"
    settings = Settings(folder=folder, grace_s=20)
    compute = libvirt_host.compute()
    context = Context(Host(settings, compute, RealStorages(settings)))
    before = host_state(context.host)
    made = School(context=context, compute=compute, libvirt=libvirt_host, folder=folder)
    yield made
    for classroom in classrooms.list_classrooms(context):
        verbs.stop(context, classroom.name, grace_s=0)
        assert classrooms.delete(context, classroom.name).exit_status == 0
    for template in templates.list_templates(context):
        templates.delete(context, template.name)
    after = host_state(context.host)
    assert (after["volumes"], after["machines"]) == (before["volumes"], before["machines"])
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    compute.close()


@pytest.fixture
def bootsector(tmp_path: Path) -> Path:
    image = tmp_path / "guest.img"
    subprocess.run([GUESTS / "bootsector" / "build", image], check=True)
    return image


@pytest.fixture
def net(school: School, bootsector: Path) -> School:
    """A classroom of three machines of the boot-sector guest, off."""
    school.create_classroom("net", "boot", bootsector, seats=3, memory_bytes=16 * MIB)
    return school


ALL = ("net-01", "net-02", "net-03")


def outcomes(report: Report) -> list[Outcome]:
    return [one.outcome for one in report.seats]


def of(report: Report, what: Callable[[Any], object]) -> list[object]:
    return [what(one) for one in report.seats]


def test_reset_when_seats_run_then_they_boot_the_original_again(net: School) -> None:
    assert verbs.start(net.context, "net").exit_status == 0
    net.await_boots(1, *ALL)
    for seat in ALL:
        net.virsh("reset", seat)
    net.await_boots(2, *ALL)
    report = verbs.reset(net.context, "net")
    assert outcomes(report) == [Outcome.DONE] * 3
    assert of(report, lambda one: one.verified) == [True] * 3
    net.await_boots(1, *ALL)
    report = verbs.stop(net.context, "net")
    assert outcomes(report) == [Outcome.DONE] * 3
    assert outcomes(verbs.verify(net.context, "net")) == [Outcome.FAILED] * 3
    assert outcomes(verbs.verify(net.context, "net", deep=True)) == [Outcome.FAILED] * 3


def test_verify_when_deep_then_the_data_is_that_of_the_image(net: School, bootsector: Path) -> None:
    verbs.start(net.context, "net", [2])
    net.await_boots(1, "net-02")
    verbs.stop(net.context, "net", [2], grace_s=0)
    report = verbs.reset(net.context, "net")
    assert outcomes(report) == [Outcome.UNCHANGED, Outcome.DONE, Outcome.UNCHANGED]
    report = verbs.verify(net.context, "net", deep=True)
    assert report.exit_status == 0
    digest = hashlib.sha256(bootsector.read_bytes()).hexdigest()
    assert of(report, lambda one: one.extra["sha256"]) == [digest] * 3


def test_reset_when_hot_then_refused_before_anything_is_touched(net: School) -> None:
    verbs.start(net.context, "net", [1])
    net.await_boots(1, "net-01")
    with pytest.raises(Unsupported, match="cannot be reset hot"):
        verbs.reset(net.context, "net", [1], mode=Mode.HOT)
    assert net.boots("net-01") == 1
    assert net.context.host.observe().classroom("net").seats[0].power is Power.RUNNING


def test_resize_when_seats_and_disks_grow_then_a_reset_keeps_the_size(net: School) -> None:
    report = classrooms.resize(net.context, "net", seats=5, disk_bytes=128 * MIB)
    assert report.exit_status == 0
    seats = net.context.host.observe().classroom("net").seats
    assert [seat.volumes[0].size_bytes // MIB for seat in seats] == [128, 128, 128, 64, 64]
    verbs.start(net.context, "net", [1])
    net.await_boots(1, "net-01")
    assert verbs.reset(net.context, "net").exit_status == 0
    net.await_boots(1, "net-01")
    assert classrooms.resize(net.context, "net", seats=2).exit_status == 0
    seats = net.context.host.observe().classroom("net").seats
    assert [(seat.name, seat.volumes[0].size_bytes // MIB) for seat in seats] == [
        ("net-01", 128),
        ("net-02", 128),
    ]


def test_reset_when_one_seat_is_damaged_then_the_others_are_done(net: School) -> None:
    verbs.start(net.context, "net")
    net.await_boots(1, *ALL)
    verbs.stop(net.context, "net", [2], grace_s=0)
    image = net.folder / "seats" / "net-02.vda.qcow2"
    whole = image.read_bytes()
    image.write_bytes(bytes(512) + whole[512:])
    report = verbs.reset(net.context, "net")
    well = [one.outcome for one in (report.seats[0], report.seats[2])]
    assert well == [Outcome.DONE, Outcome.DONE]
    assert report.seats[1].outcome in (Outcome.UNKNOWN, Outcome.FAILED)
    assert report.seats[1].reason
    image.write_bytes(whole)
    assert outcomes(verbs.reset(net.context, "net", [2])) == [Outcome.DONE]


def test_recover_when_all_machines_are_lost_then_the_disks_tell_what_they_were(
    net: School,
) -> None:
    before = [net.virsh("dumpxml", seat) for seat in ALL]
    for seat in ALL:
        net.virsh("undefine", seat)
    assert outcomes(verbs.reset(net.context, "net")) == [Outcome.UNKNOWN] * 3
    (report,) = recover.recover(net.context)
    assert outcomes(report) == [Outcome.DONE] * 3
    assert [net.virsh("dumpxml", seat) for seat in ALL] == before
    (report,) = recover.recover(net.context)
    assert outcomes(report) == [Outcome.UNCHANGED] * 3


def test_command_when_it_is_a_process_of_its_own_then_does_the_same(net: School) -> None:
    status, document = net.command("verify", "net")
    assert (status, {one["outcome"] for one in document["seats"]}) == (0, {"done"})
    status, document = net.command("reset", "net", "9")
    assert (status, document["error"]["code"]) == (2, "not_found")


def test_reset_when_a_student_had_root_then_the_system_is_as_on_the_first_day(
    school: School,
) -> None:
    subprocess.run([GUESTS / "debian" / "build"], check=True, stdout=subprocess.DEVNULL)
    assert os.access(DEBIAN, os.R_OK)
    school.create_classroom("real", "debian", DEBIAN, seats=2, memory_bytes=384 * MIB)
    assert verbs.start(school.context, "real").exit_status == 0
    seats = school.context.host.observe().classroom("real").seats
    students = [Student(compute=school.compute, machine=seat.domain_uuid) for seat in seats]
    for student in students:
        student.wait_until_booted()
    students[0].misbehave()
    report = verbs.reset(school.context, "real", [1])
    assert outcomes(report) == [Outcome.DONE]
    students[0].wait_until_booted()
    students[0].check_original()
    students[1].misbehave()  # its machine was left alone, and answers
    assert outcomes(verbs.stop(school.context, "real")) == [Outcome.DONE] * 2
    assert outcomes(verbs.reset(school.context, "real")) == [Outcome.DONE] * 2
    assert verbs.verify(school.context, "real", deep=True).exit_status == 0


WHO = """
    cat /etc/hostname /etc/machine-id /proc/sys/kernel/random/boot_id
    hostname
    grep ^student: /etc/shadow | cut -d: -f2
    stat -c %U:%a /home/student
    su student -c 'id -un'
"""
GATEWAY_ANSWERS = """
    address=$(ip -4 -o addr show scope global | sed 's/.* inet \\([0-9.]*\\)\\..*/\\1/')
    timeout 20 bash -c "exec 3<>/dev/tcp/$address.1/53"
"""


def test_warm_when_a_real_system_has_an_identity_then_it_wakes_as_itself_on_time_and_on_line(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The identity is written to the disk of a machine that is off; no agent is asked."""
    monkeypatch.setattr(identity_offline, "_ASKED_INSTEAD", ())
    subprocess.run([GUESTS / "debian" / "build"], check=True, stdout=subprocess.DEVNULL)
    templates.import_template(
        school.context, "debian", templates.source_of_file(DEBIAN), kind=QCOW2
    )
    spec = ClassroomSpec(
        name="real", template="debian", seats=1, memory_bytes=384 * MIB, vcpus=1, identify=True
    )
    person = Person(user="student", password_hash=identity.password_hash("tiza"))
    assert creation.create(school.context, spec, person).exit_status == 0
    report = warm.warm(school.context, "real", settle_s=LIMIT_S)
    assert (report.exit_status, report.seats[0].reason) == (0, None), report
    seat = school.context.host.observe().classroom("real").seats[0]
    student = Student(compute=school.compute, machine=seat.domain_uuid)
    boots = set()
    for _ in range(2):
        report = verbs.reset(school.context, "real", mode=Mode.WARM, after=After.RUNNING)
        assert (report.seats[0].verified, report.seats[0].reason) == (True, None), report
        student.wait_until_booted()
        status, said = student.run(WHO)
        name, machine_id, boot, live, password, home, user = said.splitlines()
        assert (status, name, live, user, home) == (0, "real-01", "real-01", "student",
                                                    "student:700")  # fmt: skip
        assert machine_id == seat.domain_uuid.replace("-", "")
        assert password == person.password_hash
        boots.add(boot)
        assert student.run(GATEWAY_ANSWERS)[0] == 0, "nobody answers it on its network"
        student.run("echo hacked >/etc/hostname; userdel -rf student; date -s 2001-01-01; sync")
    assert len(boots) == 1, "it booted"
    # the saved RAM says that the year is 2001, so only the host can have set the clock
    checkpoints.delete(school.context, "real", WARM)
    checkpoints.save(school.context, "real", WARM, [1], ram=True)
    verbs.reset(school.context, "real", mode=Mode.WARM, after=After.RUNNING)
    student.wait_until_booted()
    _, now = student.run("date +%s")
    assert abs(int(now) - time.time()) < LIMIT_S, "its clock stands at the warm baseline"
