"""Faults below Pizarra: a disk that gives errors, a full pool, a libvirtd that dies.

Each time the command ends and names the seats that failed, and no dirty seat is called original.
After the repair of the cause everything works again.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from pizarra.errors import CommandTimedOut, NoSpace, PizarraError, StorageFault
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.facts import Power, Seat, StorageKind
from pizarra.model.outcome import Mode, Outcome, Report
from pizarra.model.policy import After
from pizarra.model.sizes import MIB
from pizarra.service import classrooms, recover, templates, verbs
from pizarra.service.context import Context
from pizarra.storage.dm_thin.store import DmThinStore
from pizarra.storage.kinds import Kind
from pizarra.system import devmapper
from pizarra.system.process import run
from tests.contract.storage_lvm import VG, direct_write, lvm
from tests.lab.conftest import command
from tests.lab.school import eventually

FRAIL, DISK, POOL = "vg_frail", "frail", "pizarra"
DISK_BYTES = 400 * MIB
BAD = {Outcome.FAILED, Outcome.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Frail:
    """A volume group on a disk that a test can make fail."""

    context: Context

    def table(self, target: str) -> None:
        """Replace the table of the disk."""
        sectors = DISK_BYTES // 512
        command("dmsetup", "suspend", "--nolockfs", "--noflush", DISK)
        command("dmsetup", "load", DISK, "--table", f"0 {sectors} {target}")
        command("dmsetup", "resume", DISK)

    def fail_requests(self) -> None:
        """Let every request fail."""
        self.table(f"flakey /dev/{VG}/under 0 0 3600")

    def hang(self) -> None:
        """Answer no request."""
        command("dmsetup", "suspend", "--nolockfs", "--noflush", DISK)

    def answer(self) -> None:
        command("dmsetup", "resume", DISK)

    def heal(self) -> None:
        """Repair the disk, and open the pool again; LVM checks the pool meanwhile."""
        self.table(f"linear /dev/{VG}/under 0")
        self.reopen_group()

    def reopen_group(self) -> None:
        lvm("vgchange", "-an", FRAIL)
        lvm("vgchange", "-ay", FRAIL)

    def create_classroom(
        self, kind: StorageKind, image: Path, seats: int, disk_bytes: int = 0
    ) -> None:
        if kind is Kind.LVM_THIN:
            DmThinStore(FRAIL).prepare()
        source = templates.source_of_file(image)
        templates.import_template(self.context, "boot", source, vg=FRAIL, kind=kind)
        spec = ClassroomSpec(name="frail", template="boot", seats=seats, memory_bytes=16 * MIB,
                             vcpus=1, network="none", storage=kind, vg=FRAIL,
                             disk_bytes=disk_bytes or None)  # fmt: skip
        classrooms.create(self.context, spec)

    def seats(self) -> tuple[Seat, ...]:
        return self.context.host.observe().classroom("frail").seats

    def work(self, *numbers: int) -> None:
        """Write to the disks of seats that are off, as students would."""
        for seat in self.seats():
            if seat.number in numbers:
                direct_write(seat.volumes[0].path, MIB, b"a student was here".ljust(4096, b"!"))

    def reset(self) -> Report:
        return verbs.reset(self.context, "frail", after=After.OFF)

    def check_recovery(self) -> None:
        """Recover twice; the second changes nothing, and a reset is proven by reading the data."""
        recover.recover(self.context)
        again = [one for report in recover.recover(self.context) for one in report.seats]
        assert {one.outcome for one in again} == {Outcome.UNCHANGED}
        assert self.reset().exit_status == 0
        assert verbs.verify(self.context, "frail", deep=True).exit_status == 0


@pytest.fixture
def frail(lab: Context) -> Iterator[Frail]:
    """A new group of this kind. It is removed afterwards, whatever its state."""
    lvm("lvcreate", "-y", "-Wn", "-L", f"{DISK_BYTES}b", "-n", "under", VG)
    command("dmsetup", "create", DISK, "--table",
            f"0 {DISK_BYTES // 512} linear /dev/{VG}/under 0")  # fmt: skip
    lvm("vgcreate", "-y", FRAIL, f"/dev/mapper/{DISK}")
    yield Frail(lab)
    with suppress(PizarraError):
        classrooms.delete(lab, "frail")
    subprocess.run(["lvm", "vgremove", "-ff", "-y", FRAIL], capture_output=True, check=False)
    for _ in range(3):  # LVM removes a volume only after those that depend on it
        rows = command("dmsetup", "ls").split("\n")
        for name in [row.split()[0] for row in rows if row.startswith((FRAIL, DISK))]:
            subprocess.run(["dmsetup", "remove", "-f", name], capture_output=True, check=False)
    lvm("lvremove", "-ff", "-y", f"{VG}/under")


def outcomes_of(report: Report) -> list[tuple[Outcome, str]]:
    return [(one.outcome, str(one.reason)) for one in report.seats]


@pytest.mark.parametrize("kind", [Kind.LVM_THIN, Kind.LVM_THICK])
def test_disk_when_it_gives_errors_then_it_is_said_and_none_is_called_original(
    frail: Frail, bootsector: Path, kind: StorageKind
) -> None:
    frail.create_classroom(kind, bootsector, 2)
    frail.work(1, 2)
    frail.fail_requests()
    with suppress(PizarraError):
        report = frail.reset()
        assert {one.outcome for one in report.seats} <= BAD, outcomes_of(report)
        assert not any(one.verified for one in report.seats)
    with suppress(PizarraError):
        assert not any(one.verified for one in verbs.status(frail.context, "frail").seats)
    frail.heal()
    frail.check_recovery()


def test_disk_when_it_hangs_then_every_wait_has_an_end_and_the_seat_is_as_it_was(
    frail: Frail, bootsector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devmapper, "LIMIT_S", 3.0)
    frail.create_classroom(Kind.LVM_THIN, bootsector, 1)
    frail.work(1)
    volume = frail.seats()[0].volumes[0]
    device = devmapper.device(devmapper.dm_name(volume.place, volume.name))
    assert device
    frail.hang()
    try:
        reader = subprocess.Popen(["dd", f"if={volume.path}", "of=/dev/null", "iflag=direct",
                                   "bs=4096", "count=1", "skip=256"])  # fmt: skip
        inflight = Path(f"/sys/block/{device.node.name}/inflight")
        eventually("a read waits", lambda: inflight.read_text().split()[0] == "1")
        with pytest.raises(StorageFault, match="did not answer within 3 s"):
            devmapper.swap(device, devmapper.error_target(device.targets[0].length))
        with pytest.raises(CommandTimedOut):
            run(["lvm", "pvs", "--config", f'devices/filter=["a|{DISK}|","r|.*|"]'], timeout_s=3)
    finally:
        frail.answer()
    assert reader.wait(30) == 0
    assert devmapper.device(device.name) == device
    frail.check_recovery()


def test_pool_when_its_metadata_is_full_then_it_is_said_and_nothing_is_lost(
    frail: Frail, bootsector: Path
) -> None:
    frail.create_classroom(Kind.LVM_THIN, bootsector, 2)
    frail.work(1)
    device, made = f"{FRAIL}-{POOL}-tpool", []
    with suppress(StorageFault):
        for thin_id in range(100_000, 104_000):
            devmapper.message(device, f"create_thin {thin_id}")
            made.append(thin_id)
    assert len(made) < 4000, "its metadata never filled"
    with suppress(PizarraError):
        report = frail.reset()
        first = report.seats[0]
        assert first.outcome in BAD or first.verified, outcomes_of(report)
    with suppress(PizarraError):
        for one in verbs.verify(frail.context, "frail", [1]).seats:
            assert not one.verified or one.outcome is Outcome.DONE
    lvm("lvextend", "-y", "--poolmetadatasize", "+8M", f"{FRAIL}/{POOL}")
    frail.reopen_group()
    for thin_id in made:
        devmapper.message(device, f"delete {thin_id}")
    frail.check_recovery()


def test_libvirtd_when_it_dies_in_a_reset_then_the_reset_ends_and_a_second_is_done(
    frail: Frail, bootsector: Path
) -> None:
    frail.create_classroom(Kind.LVM_THIN, bootsector, 3)
    verbs.start(frail.context, "frail")
    pid = int(command("pgrep", "-x", "libvirtd").split()[0])
    argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]

    def dies(event: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _ = event

    try:
        report = verbs.reset(Context(frail.context.host, dies), "frail", after=After.RUNNING)
        assert {one.outcome for one in report.seats} <= {*BAD, Outcome.DONE}, outcomes_of(report)
        assert all(one.verified for one in report.seats if one.outcome is Outcome.DONE)
        assert any(one.outcome in BAD for one in report.seats), outcomes_of(report)
    finally:
        Path("/run/libvirtd.pid").unlink(missing_ok=True)
        subprocess.Popen([b"/bin/sh", b"-c", b"ulimit -n 1024; exec \"$@\"", b"sh", *argv],
                         start_new_session=True)  # fmt: skip
        eventually("libvirtd is there", lambda: not subprocess.run(
            ["virsh", "-q", "list"], capture_output=True, check=False).returncode)  # fmt: skip
    recover.recover(frail.context)
    report = verbs.reset(frail.context, "frail", after=After.OFF)
    assert report.exit_status == 0, outcomes_of(report)
    assert {seat.power for seat in frail.seats()} == {Power.OFF}
    assert verbs.verify(frail.context, "frail", deep=True).exit_status == 0


def test_snapshot_when_it_overflows_then_it_is_said_and_a_reset_mends_it(
    frail: Frail, bootsector: Path
) -> None:
    frail.create_classroom(Kind.LVM_THICK, bootsector, 2)
    seat = frail.seats()[0].volumes[0]
    lvm("lvreduce", "-f", "-y", "-l", "1", f"{FRAIL}/{seat.name}")
    with suppress(OSError):
        for place in range(0, seat.size_bytes, MIB):
            direct_write(seat.path, place, os.urandom(MIB))
    status = verbs.status(frail.context, "frail").seats
    assert [bool(one.verified) for one in status] == [False, True], status
    assert frail.reset().exit_status == 0
    frail.check_recovery()


def test_pool_when_its_data_is_wholly_full_then_starts_are_refused_and_resets_still_work(
    frail: Frail, bootsector: Path
) -> None:
    """A volume of somebody else fills the pool to its last block."""
    frail.create_classroom(Kind.LVM_THIN, bootsector, 2)
    frail.work(1)
    lvm("lvchange", "--errorwhenfull", "y", f"{FRAIL}/{POOL}")
    lvm("lvcreate", "-y", "-V", f"{2 * DISK_BYTES}b", "-T", f"{FRAIL}/{POOL}", "-n", "theirs")
    with pytest.raises(OSError):
        for place in range(0, 2 * DISK_BYTES, MIB):
            direct_write(Path(f"/dev/{FRAIL}/theirs"), place, os.urandom(MIB))
    (pool,) = [
        one for one in frail.context.host.observe().pools if (one.place, one.name) == (FRAIL, POOL)
    ]
    assert pool.free_bytes == 0
    with pytest.raises(NoSpace, match="seats need up to"):
        verbs.start(frail.context, "frail")
    assert {seat.power for seat in frail.seats()} == {Power.OFF}
    status = verbs.status(frail.context, "frail").seats
    assert [one.verified for one in status] == [False, True], status
    report = frail.reset()
    assert all(one.verified for one in report.seats if one.outcome is Outcome.DONE), outcomes_of(
        report
    )

    lvm("lvremove", "-y", f"{FRAIL}/theirs")
    frail.reopen_group()
    frail.check_recovery()
    assert verbs.start(frail.context, "frail").exit_status == 0


def test_machine_when_it_ignores_everything_then_only_it_fails_and_nobody_waits_for_ever(
    frail: Frail, bootsector: Path
) -> None:
    """A signal stops its QEMU, which then answers no monitor, no agent and no power button."""
    frail.create_classroom(Kind.LVM_THIN, bootsector, 2)
    verbs.start(frail.context, "frail")
    pid = int(command("pgrep", "-f", "guest=frail-01,").split()[0])
    os.kill(pid, signal.SIGSTOP)
    try:
        report = verbs.reset(frail.context, "frail", mode=Mode.HOT)
        deaf, other = report.seats
        assert deaf.outcome in BAD, outcomes_of(report)
        assert "could not be stopped" in str(deaf.reason)
        assert (other.outcome, other.verified) == (Outcome.DONE, True), outcomes_of(report)
        assert len(verbs.status(frail.context, "frail").seats) == 2
        report = verbs.stop(frail.context, "frail", grace_s=3)
        assert report.exit_status == 0, outcomes_of(report)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    assert {seat.power for seat in frail.seats()} == {Power.OFF}
    frail.check_recovery()
