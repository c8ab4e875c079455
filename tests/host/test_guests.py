"""The guests of all other tests: they build, start, change their disks, and answer."""

from __future__ import annotations

import hashlib
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from pizarra.system.process import piping, run

GUESTS = Path(__file__).parents[2] / "guests"
DEBIAN = GUESTS.parent / "build" / "guests" / "debian.qcow2"
LIMIT_S = 300.0  # patience for a loaded machine, never a measurement
LESSONS = slice(1 << 20, 5 << 20)
SCRATCH = slice(16 << 20, 48 << 20)
BATCH_LESSON_BYTES, BATCH_SCRATCH_BYTES = 64 << 10, 256 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A running QEMU, and its files in ``folder``."""

    qemu: Popen[str]
    folder: Path

    def console(self) -> str:
        """The output of the serial port so far."""
        serial = self.folder / "serial"
        return serial.read_text(errors="replace") if serial.exists() else ""

    def wait_for(self, text: str) -> str:
        """Wait until the serial port has printed ``text``; returns its output."""
        deadline = time.monotonic() + LIMIT_S
        while text not in self.console():
            assert self.qemu.poll() is None, f"QEMU ended: {self.console()}"
            assert time.monotonic() < deadline, f"no {text!r} in {self.console()}"
            time.sleep(0.05)
        return self.console()

    def monitor(self, command: str, **arguments: Any) -> None:
        """Send one QMP command."""
        with connecting(self.folder / "qmp") as qmp:
            query(qmp, "qmp_capabilities", {})
            query(qmp, command, arguments)

    def power_off(self) -> int:
        """Press the power button; returns QEMU's exit status."""
        self.monitor("system_powerdown")
        return self.qemu.wait(LIMIT_S)


@contextmanager
def connecting(path: Path) -> Iterator[socket.socket]:
    """Connect to a socket that QEMU makes a moment after its start."""
    deadline = time.monotonic() + LIMIT_S
    with socket.socket(socket.AF_UNIX) as peer:
        while peer.connect_ex(str(path)) != 0:
            assert time.monotonic() < deadline, f"nothing listens at {path}"
            time.sleep(0.05)
        peer.settimeout(LIMIT_S)
        yield peer


def query(peer: socket.socket, command: str, arguments: dict[str, Any]) -> Any:
    """Send a command to QMP or the agent; returns the answer and skips greetings and events."""
    peer.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
    with peer.makefile("r", encoding="utf-8") as lines:
        for line in lines:
            answer = json.loads(line)
            assert "error" not in answer, answer
            if "return" in answer:
                return answer["return"]
    raise AssertionError("the socket was closed")


@contextmanager
def running_guest(folder: Path, disk: str, machine: str = "pc", *more: str) -> Iterator[Guest]:
    """Run a guest under software emulation for as long as the block lasts."""
    for left_over in ("serial", "qmp"):
        (folder / left_over).unlink(missing_ok=True)
    command = [
        *("qemu-system-x86_64", "-machine", machine, "-accel", "tcg", "-cpu", "max", "-m", "256"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-vga", "std"),
        *("-serial", f"file:{folder / 'serial'}", "-drive", disk),
        *("-qmp", f"unix:{folder / 'qmp'},server=on,wait=off", *more),
    ]
    with piping(command) as qemu:
        yield Guest(qemu=qemu, folder=folder)


def serial_args(serial: str) -> tuple[str, str]:
    """QEMU's options for a machine's serial number."""
    return "-smbios", f"type=1,serial={serial}"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A fresh disk of the boot-sector guest."""
    run([str(GUESTS / "bootsector" / "build"), str(tmp_path / "guest.img")])
    return tmp_path / "guest.img"


def test_bootsector_build_when_run_twice_then_makes_the_same_sparse_bytes(
    image: Path, tmp_path: Path
) -> None:
    run([str(GUESTS / "bootsector" / "build"), str(tmp_path / "again.img")])
    first, second = image.read_bytes(), (tmp_path / "again.img").read_bytes()
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()
    assert len(first) == 64 << 20
    assert image.stat().st_blocks * 512 < 8 << 20
    assert first[16 * 512 :].startswith(b"PIZARRA GUEST DISK 1, original\n")
    assert b"\0" not in first[LESSONS]


@pytest.mark.parametrize("machine", ["pc", "q35"])
@pytest.mark.parametrize("bus", ["virtio", "ide"])
def test_bootsector_guest_when_started_twice_then_counts_and_changes_its_disk(
    image: Path, tmp_path: Path, machine: str, bus: str
) -> None:
    disk = f"file={image},format=raw,if={bus}"
    before = image.read_bytes()
    for boots in (1, 2):
        with running_guest(tmp_path, disk, machine, *serial_args("net-07")) as guest:
            said = guest.wait_for("PIZARRA GUEST ready").splitlines()
            assert guest.power_off() == 0
        assert said == [
            f"PIZARRA GUEST net-07 boot {boots:08d}",
            f"PIZARRA GUEST wrote {boots:08d}",
            "PIZARRA GUEST ready",
        ]
        after = image.read_bytes()
        assert changed_bytes(before[SCRATCH], after[SCRATCH]) == boots * BATCH_SCRATCH_BYTES
        assert changed_bytes(before[LESSONS], after[LESSONS]) == boots * BATCH_LESSON_BYTES
        assert b"PIZARRA WROTE boot %08d" % boots in after[LESSONS]
    assert int.from_bytes(after[8 * 512 + 16 : 8 * 512 + 20], "little") == 2


def changed_bytes(before: bytes, after: bytes) -> int:
    """How many bytes changed, counted in whole sectors."""
    sectors = range(0, len(before), 512)
    return 512 * sum(before[at : at + 512] != after[at : at + 512] for at in sectors)


def test_bootsector_guest_when_it_has_no_serial_number_then_says_dash(
    image: Path, tmp_path: Path
) -> None:
    with running_guest(tmp_path, f"file={image},format=raw,if=virtio") as guest:
        assert "PIZARRA GUEST - boot 00000001" in guest.wait_for("ready")


def test_bootsector_guest_when_its_smbios_table_lies_in_high_memory_then_is_found(
    image: Path, tmp_path: Path
) -> None:
    long_table = f"type=1,serial=net-08,product={'x' * 900}"  # too long for the BIOS segment
    disk = f"file={image},format=raw,if=virtio"
    with running_guest(tmp_path, disk, "pc", "-smbios", long_table) as guest:
        assert "PIZARRA GUEST net-08 boot 00000001" in guest.wait_for("ready")


def test_bootsector_guest_when_a_key_is_pressed_then_writes_once_more(
    image: Path, tmp_path: Path
) -> None:
    with running_guest(tmp_path, f"file={image},format=raw,if=virtio") as guest:
        guest.wait_for("ready")
        guest.monitor("send-key", keys=[{"type": "qcode", "data": "ret"}])
        guest.wait_for("PIZARRA GUEST wrote 00000002")


def test_bootsector_guest_when_reset_then_starts_again(image: Path, tmp_path: Path) -> None:
    with running_guest(tmp_path, f"file={image},format=raw,if=virtio") as guest:
        guest.wait_for("ready")
        guest.monitor("system_reset")
        guest.wait_for("boot 00000002")


def test_bootsector_guest_when_built_deaf_then_ignores_the_power_button(tmp_path: Path) -> None:
    deaf = tmp_path / "deaf.img"
    run([str(GUESTS / "bootsector" / "build"), "--deaf", str(deaf)])
    with running_guest(tmp_path, f"file={deaf},format=raw,if=virtio") as guest:
        guest.wait_for("ready")
        guest.monitor("system_powerdown")
        guest.monitor("send-key", keys=[{"type": "qcode", "data": "ret"}])
        assert "PIZARRA GUEST off" not in guest.wait_for("PIZARRA GUEST wrote 00000002")


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_debian_guest_when_started_then_its_agent_answers_and_it_powers_off(
    tmp_path: Path, machine: str
) -> None:
    run([str(GUESTS / "debian" / "build")], timeout_s=1800)
    overlay = tmp_path / "overlay.qcow2"
    run(["qemu-img", "create", "-f", "qcow2", "-F", "qcow2", "-b", str(DEBIAN), str(overlay)])
    agent = [
        *("-device", "virtio-serial", "-device"),
        "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
        *("-chardev", f"socket,path={tmp_path / 'agent'},server=on,wait=off,id=agent"),
        *("-nic", "user,model=virtio-net-pci"),
    ]
    with running_guest(tmp_path, f"file={overlay},if=virtio", machine, *agent) as guest:
        with connecting(tmp_path / "agent") as peer:
            assert query(peer, "guest-ping", {}) == {}
            assert query(peer, "guest-get-host-name", {}) == {"host-name": "debian"}
            assert query(peer, "guest-get-osinfo", {})["id"] == "debian"
        guest.wait_for("debian login: root (automatic login)")
        assert guest.power_off() == 0
