"""Finds out whether this host can run guests under KVM, by running one.

``/dev/kvm`` alone proves nothing. On some machines the device opens, and QEMU then aborts on an
MSR, stops with "KVM internal error" at the first SSE2 instruction, or never passes the firmware.
The guest is ``kvm_probe.S``: one boot sector that uses the CPU as an operating system does.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import as_file, files
from pathlib import Path

from pizarra.errors import HostNotFit
from pizarra.model.sentence import Sentence
from pizarra.system.process import piping

_DEVICE = Path("/dev/kvm")
_QEMU = "qemu-system-x86_64"
_RIGHT, _WRONG = 0x2A * 2 + 1, 0x0B * 2 + 1  # isa-debug-exit's exit status: value * 2 + 1
_GIVES_UP = "KVM internal error"  # QEMU pauses the guest and stays


class KvmVerdict(StrEnum):
    """How the probe guest ended."""

    RAN = "ran"
    NO_DEVICE = "no-device"
    NO_ACCESS = "no-access"
    NO_QEMU = "no-qemu"
    ABORTED = "aborted"
    WRONG = "wrong"
    HUNG = "hung"


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmProbe:
    """The verdict, and one line: what QEMU printed last, or how long it had."""

    verdict: KvmVerdict
    detail: str

    @property
    def works(self) -> bool:
        """Whether guests run under KVM."""
        return self.verdict is KvmVerdict.RAN


def kvm_works(timeout_s: float = 8) -> bool:
    """Whether a 64-bit guest runs under KVM here; ``probe_kvm`` says why not."""
    return probe_kvm(timeout_s).works


def probe_kvm(timeout_s: float = 8, *, device: Path = _DEVICE) -> KvmProbe:
    """Run the probe guest under KVM. A missing device or program is a verdict, not an error."""
    if not device.exists():
        return KvmProbe(verdict=KvmVerdict.NO_DEVICE, detail=f"{device} is not there")
    if not os.access(device, os.R_OK | os.W_OK):
        return KvmProbe(
            verdict=KvmVerdict.NO_ACCESS,
            detail=Sentence("{device} may not be opened", device=device),
        )
    return run_probe_guest("kvm", timeout_s)


def run_probe_guest(accelerator: str, timeout_s: float) -> KvmProbe:
    """Run the probe guest under one of QEMU's accelerators, for ``timeout_s`` at most."""
    image = files("pizarra.system") / "kvm_probe.bin"
    try:
        with as_file(image) as boot_sector:
            return _watch(_command(accelerator, boot_sector), timeout_s)
    except HostNotFit as missing:
        return KvmProbe(verdict=KvmVerdict.NO_QEMU, detail=str(missing))


def _command(accelerator: str, boot_sector: Path) -> list[str]:
    """QEMU with a floppy: QEMU takes one of 512 bytes, and without disks the boot is quick."""
    return [
        *(_QEMU, "-machine", "pc", "-accel", accelerator, "-cpu", "max", "-m", "16"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-device", "isa-debug-exit,iobase=0xf4,iosize=4"),
        *("-drive", f"file={boot_sector},format=raw,if=floppy,readonly=on"),
    ]


def _watch(command: list[str], timeout_s: float) -> KvmProbe:
    said: list[str] = []
    with piping(command, timeout_s=0.5) as qemu:
        assert qemu.stdout is not None  # ``piping`` asked for a pipe
        for line in _lines(qemu.stdout.fileno(), timeout_s):
            said.append(line)
            if _GIVES_UP in line:
                return KvmProbe(verdict=KvmVerdict.ABORTED, detail=line.rstrip("."))
        # QEMU's output is closed or the time is over: the exit status comes now or never
        deadline = time.monotonic() + 0.2
        while qemu.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        return _verdict(qemu.returncode, said, timeout_s)


def _verdict(status: int | None, said: list[str], timeout_s: float) -> KvmProbe:
    if status is None:
        return KvmProbe(
            verdict=KvmVerdict.HUNG,
            detail=Sentence("no answer within {limit:g} s", limit=timeout_s),
        )
    if status == _RIGHT:
        return KvmProbe(verdict=KvmVerdict.RAN, detail="the probe guest ran")
    if status == _WRONG:
        return KvmProbe(
            verdict=KvmVerdict.WRONG, detail=Sentence("the probe guest computed wrongly")
        )
    ended = Sentence("QEMU ended with status {status}", status=status)
    last = said[-1].rstrip(".") if said else ended
    return KvmProbe(verdict=KvmVerdict.ABORTED, detail=last)


def _lines(fd: int, timeout_s: float) -> Iterator[str]:
    """The lines of QEMU's output as they come, until it ends or the time is over."""
    rest = b""
    deadline = time.monotonic() + timeout_s
    while (left_s := deadline - time.monotonic()) > 0:
        if not select.select([fd], [], [], left_s)[0]:
            return
        if not (chunk := os.read(fd, 65536)):
            break
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace").strip() for line in whole if line.strip())
    if rest.strip():
        yield rest.decode(errors="replace").strip()
