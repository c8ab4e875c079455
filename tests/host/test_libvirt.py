"""The libvirt driver with a real libvirt and real guests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from lxml import etree

from pizarra.compute.interface import DiskSpec, DomainSpec
from pizarra.compute.libvirt_driver import LibvirtCompute
from pizarra.errors import ComputeFault, HostNotFit, PizarraError
from pizarra.model.disk_source import ImageFile
from pizarra.model.facts import Power
from pizarra.model.labels import Firmware
from pizarra.model.sizes import MIB
from tests.contract.compute_bench import Classroom, LibvirtComputeBench, power_of
from tests.fixtures.libvirt import Libvirt

GUESTS = Path(__file__).parents[2] / "guests"
DEBIAN = GUESTS.parent / "build" / "guests" / "debian.qcow2"
STATE_AT, BOOTS_AT = 8 * 512, 8 * 512 + 16
LIMIT_S = 300.0  # patience for a loaded machine, never a measurement


def eventually(what: str, true: Callable[[], object]) -> None:
    """Wait until ``true`` returns something true."""
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """The boot-sector guest as a seat."""

    spec: DomainSpec
    disk: Path
    bench: LibvirtComputeBench

    @property
    def compute(self) -> LibvirtCompute:
        return self.bench.driver

    @property
    def uuid(self) -> str:
        return self.spec.uuid

    def boots(self) -> int:
        """How often the guest has booted: it counts on its disk."""
        return int.from_bytes(self.disk.read_bytes()[BOOTS_AT : BOOTS_AT + 4], "little")

    def await_boots(self, count: int) -> None:
        eventually(f"boot {count}", lambda: self.boots() == count)

    def await_power(self, power: Power) -> None:
        eventually(power, lambda: power_of(self.compute, self.uuid) == power)


def seat_on(libvirt: Libvirt, folder: Path) -> Seat:
    disk = folder / "guest.img"
    subprocess.run([GUESTS / "bootsector" / "build", disk], check=True)
    bench = LibvirtComputeBench(libvirt, folder)
    spec = Classroom(folder=folder).seat(
        disks=(DiskSpec(source=ImageFile(disk, "raw"), target="vda"),)
    )
    return Seat(spec=spec, disk=disk, bench=bench)


@pytest.fixture
def seat(libvirt_host: Libvirt, tmp_path: Path) -> Iterator[Seat]:
    """A seat, defined and off."""
    made = seat_on(libvirt_host, tmp_path)
    made.compute.define(made.spec)
    yield made
    made.bench.clean(Classroom(folder=tmp_path, name=made.spec.classroom))


def test_guest_when_asked_to_stop_then_it_does(seat: Seat) -> None:
    seat.compute.start(seat.uuid)
    seat.await_boots(1)

    def ask_again() -> bool:  # the guest reacts to the button only once it is ready
        seat.compute.ask_to_stop(seat.uuid)
        return power_of(seat.compute, seat.uuid) == Power.OFF

    eventually("off", ask_again)


def test_disk_when_changed_back_while_paused_then_reset_boots_the_original(seat: Seat) -> None:
    original = seat.disk.read_bytes()
    seat.compute.start(seat.uuid)
    seat.await_boots(1)
    seat.compute.pause(seat.uuid)
    with seat.disk.open("r+b") as disk:
        disk.write(original)
    seat.compute.reset_button(seat.uuid)
    assert seat.boots() == 0
    seat.compute.resume(seat.uuid)
    seat.await_boots(1)


def test_start_when_ram_was_saved_then_boots_with_clean_ram(seat: Seat) -> None:
    seat.compute.start(seat.uuid)
    seat.await_boots(1)
    seat.bench.virsh("managedsave", seat.spec.name)
    seat.await_power(Power.OFF)
    seat.compute.start(seat.uuid)
    seat.await_boots(2)


def test_kill_when_it_returns_then_no_qemu_is_left(seat: Seat, libvirt_host: Libvirt) -> None:
    seat.compute.start(seat.uuid)
    assert libvirt_host.inside("pgrep", "-f", f"guest={seat.spec.name},", check=False)
    seat.compute.kill(seat.uuid)
    assert not libvirt_host.inside("pgrep", "-f", f"guest={seat.spec.name},", check=False)


def test_guest_when_it_runs_then_no_tcp_port_listens_for_it(
    seat: Seat, libvirt_host: Libvirt
) -> None:
    seat.compute.start(seat.uuid)
    assert "qemu" not in libvirt_host.inside("ss", "-Hltnp")


def test_guest_when_it_starts_then_knows_its_seat_by_its_serial_number(seat: Seat) -> None:
    seat.compute.start(seat.uuid)
    live = etree.fromstring(seat.bench.virsh("dumpxml", seat.spec.name))
    terminal = str(live.xpath("string(devices/serial/source/@path)"))
    with open_terminal(terminal) as fd:
        said = bytearray()

        def has_said_it() -> bool:
            said.extend(what_came(fd))
            return f"PIZARRA GUEST {seat.spec.name} boot".encode() in said

        seat.compute.reset_button(seat.uuid)
        eventually("its name on the console", has_said_it)


@contextmanager
def open_terminal(path: str) -> Iterator[int]:
    """Open a pty, for reads that do not wait."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        yield fd
    finally:
        os.close(fd)


def what_came(fd: int) -> bytes:
    try:
        return os.read(fd, 4096)
    except BlockingIOError:
        return b""


def test_undefine_when_uefi_then_its_nvram_goes_too(
    seat: Seat, libvirt_host: Libvirt, tmp_path: Path
) -> None:
    uefi = Classroom(folder=tmp_path, name=seat.spec.classroom).seat(2, firmware=Firmware.UEFI)
    seat.compute.define(uefi)
    seat.compute.start(uefi.uuid)
    nvram = "/var/lib/libvirt/qemu/nvram"
    assert uefi.name in libvirt_host.inside("ls", nvram)
    seat.compute.kill(uefi.uuid)
    seat.compute.undefine(uefi.uuid)
    assert uefi.name not in libvirt_host.inside("ls", nvram)


def test_disk_when_its_file_system_refuses_direct_io_then_buffered(seat: Seat) -> None:
    refusing = Path("/proc/self/status")  # procfs has never had O_DIRECT
    disk = DiskSpec(source=ImageFile(refusing, "raw"), target="vda")
    classroom = Classroom(folder=seat.disk.parent, name=seat.spec.classroom)
    seat.compute.define(classroom.seat(disks=(disk,)))
    assert "cache='writeback'" in seat.compute.xml(seat.uuid)


@pytest.fixture
def debian(tmp_path: Path, seat: Seat) -> DomainSpec:
    """The definition of a real system with the agent, in the place of the seat's."""
    subprocess.run([GUESTS / "debian" / "build"], check=True, stdout=subprocess.DEVNULL)
    overlay = tmp_path / "debian.qcow2"
    options = ("-q", "-f", "qcow2", "-F", "qcow2", "-b", str(DEBIAN))
    subprocess.run(["qemu-img", "create", *options, str(overlay)], check=True)
    disk = DiskSpec(source=ImageFile(overlay, "qcow2"), target="vda")
    classroom = Classroom(folder=tmp_path, name=seat.spec.classroom)
    return classroom.seat(disks=(disk,), memory_bytes=384 * MIB)


def test_agent_when_a_real_system_runs_it_then_answers_and_shuts_down(
    seat: Seat, debian: DomainSpec
) -> None:
    compute = seat.compute
    compute.define(debian)
    compute.start(debian.uuid)
    eventually("the agent answers", lambda: agent_answers(compute, debian.uuid))
    info = compute.agent(debian.uuid, {"execute": "guest-get-osinfo"})
    assert info["return"]["id"] == "debian"
    compute.ask_to_stop(debian.uuid)
    seat.await_power(Power.OFF)


def agent_answers(compute: LibvirtCompute, uuid: str) -> bool:
    try:
        return compute.agent(uuid, {"execute": "guest-ping"}) == {"return": {}}
    except ComputeFault:
        return False


# ---- a libvirtd in trouble


def test_libvirtd_when_killed_between_two_calls_then_the_next_one_works(
    private_libvirt: Libvirt, tmp_path: Path
) -> None:
    seat = seat_on(private_libvirt, tmp_path)
    seat.compute.define(seat.spec)
    seat.compute.start(seat.uuid)
    before = private_libvirt.pid_file.read_text()
    private_libvirt.signal_daemon("KILL")
    eventually("libvirtd is there again", lambda: back(private_libvirt, before))
    assert power_of(seat.compute, seat.uuid) == Power.RUNNING


def back(libvirt: Libvirt, before: str) -> bool:
    asked = subprocess.run(["virsh", "-c", libvirt.uri, "version"], capture_output=True)
    return asked.returncode == 0 and libvirt.pid_file.read_text() != before


def test_libvirtd_when_it_hangs_then_calls_end_and_later_ones_work(
    private_libvirt: Libvirt, tmp_path: Path
) -> None:
    seat = seat_on(private_libvirt, tmp_path)
    known = private_libvirt.compute(quick_s=1)
    known.define(seat.spec)
    private_libvirt.signal_daemon("STOP")
    new = private_libvirt.compute(quick_s=1)
    for compute in (known, new):
        with pytest.raises(ComputeFault, match="within 1 s"):
            compute.observe()
    private_libvirt.signal_daemon("CONT")
    for compute in (known, new):
        eventually("it answers", partial(answers, compute))
        assert power_of(compute, seat.uuid) == Power.OFF


def answers(compute: LibvirtCompute) -> bool:
    try:
        compute.observe()
    except PizarraError:
        return False
    return True


def test_libvirtd_when_not_there_then_host_not_fit_says_how_to_start_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    compute = LibvirtCompute(f"qemu+unix:///system?socket={tmp_path}/none")
    with pytest.raises(HostNotFit) as told:
        compute.observe()
    assert "systemctl start libvirtd" in told.value.advice
    assert capfd.readouterr().err == ""


def test_fault_when_libvirt_refuses_then_code_in_facts_and_nothing_on_stderr(
    seat: Seat, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ComputeFault) as told:
        seat.compute.pause(seat.uuid)
    assert told.value.facts["code"] == 55  # VIR_ERR_OPERATION_INVALID
    assert capfd.readouterr().err == ""


_RUDE = "import libvirt, os, sys; _ = libvirt.open(sys.argv[1]); os._exit(0)"
_RUDENESS = "End of file while reading data"  # libvirtd's word for it, in its log


def test_command_when_it_ends_then_libvirtd_logs_no_error_of_its_connection(
    private_libvirt: Libvirt, tmp_path: Path
) -> None:
    log = private_libvirt.pid_file.parent / "log" / "libvirtd.log"
    env = {
        "PIZARRA_LIBVIRT_URI": private_libvirt.uri,
        "PIZARRA_STATE_FOLDER": str(tmp_path / "state"),
        "PIZARRA_RUN_FOLDER": str(tmp_path / "run-of-ours"),
        "PIZARRA_FOLDER": str(tmp_path / "disks"),
    }
    for argv, status in ((["classroom", "list"], 0), (["status", "none"], 2)):
        command = [sys.executable, "-m", "pizarra", *argv]
        done = subprocess.run(command, env=os.environ | env, capture_output=True, check=False)
        assert done.returncode == status, done.stderr
    subprocess.run([sys.executable, "-c", _RUDE, private_libvirt.uri], check=True)
    eventually("it logs who was rude", lambda: _RUDENESS in log.read_text())
    assert log.read_text().count(_RUDENESS) == 1
