"""One KVM host under QEMU: its disks, its start, its reboot, its power cut, its end."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab.accelerator import Accelerator, choose_accelerator
from lab.host.image import HostImage
from lab.host.shell import SSH_BROKE, Shell
from lab.places import LabError

VG = "vg0"
VG_BYTES = 24 << 30
BOOT_S = 900.0
_SAVED = "up"
_APPEND = (
    "root=LABEL=root rw console=ttyS0 loglevel=4 panic=-1 apparmor=1 security=apparmor "
    # This check runs against the clock and panics when emulation is starved
    "no_timer_check mitigations=off nokaslr tsc=reliable random.trust_cpu=on nowatchdog"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostMachine:
    """A host to boot. `run_dir` holds its logs; `root` and `volumes` are its disks (qcow2).

    `resumes`: the disks hold the memory of a host that was saved; it goes on instead of booting.
    """

    image: HostImage
    run_dir: Path
    root: Path
    volumes: Path
    resumes: bool = False
    accelerator: Accelerator = field(default_factory=choose_accelerator)
    memory_mib: int = 4096
    vcpus: int = 2

    def start(self) -> "RunningHost":
        """Start QEMU, tied to the life of this process; the host is not up yet."""
        shell = self._shell()
        argv = ["setpriv", "--pdeathsig", "KILL", *self._argv(shell)]
        with (self.run_dir / "qemu.log").open("ab") as log:
            child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
            )
        return RunningHost(machine=self, child=child, shell=shell)

    def _shell(self) -> Shell:
        address, port = _free_address()
        folder = Path(tempfile.mkdtemp(prefix="pizarra-host-"))  # a socket's path must be short
        return Shell(address=address, port=port, key=self.image.key, socket=folder / "ssh")

    def _argv(self, shell: Shell) -> list[str]:
        argv = ["qemu-system-x86_64", "-name", "host", "-nodefaults", "-no-user-config"]
        argv += ["-display", "none", "-machine", "q35", *self.accelerator.qemu_args]
        argv += ["-smp", str(self.vcpus), "-m", str(self.memory_mib)]
        argv += ["-kernel", str(self.image.kernel), "-initrd", str(self.image.initrd)]
        argv += ["-append", _APPEND]
        argv += ["-chardev", f"file,id=console,append=on,path={self.run_dir / 'console.log'}"]
        argv += ["-serial", "chardev:console"]
        argv += _disk("root", self.root) + _disk("volumes", self.volumes)
        forward = f"hostfwd=tcp:{shell.address}:{shell.port}-:22"
        argv += ["-netdev", f"user,id=net,{forward}", "-device", "virtio-net-pci,netdev=net"]
        argv += ["-device", "virtio-rng-pci"]
        argv += ["-monitor", f"unix:{shell.socket.with_name('monitor')},server=on,wait=off"]
        if self.resumes:
            argv += ["-loadvm", _SAVED]
        return argv


def _disk(name: str, path: Path) -> list[str]:
    file = f"file.driver=file,file.filename={path},file.aio=threads,discard=unmap"
    device = f"virtio-blk-pci,drive={name},serial={name}"
    return ["-blockdev", f"driver=qcow2,node-name={name},{file}", "-device", device]


def _free_address() -> tuple[str, int]:
    """Of this machine's loop: two hosts at once do not meet, for each has its process's number."""
    pid = os.getpid()
    address = f"127.{pid >> 16 & 127 | 64}.{pid >> 8 & 255}.{pid & 255 or 1}"
    with socket.create_server((address, 0)) as server:
        return address, server.getsockname()[1]


@dataclass(slots=True, kw_only=True)
class RunningHost:
    """A QEMU that runs a host, and a shell on it once it is up."""

    machine: HostMachine
    child: subprocess.Popen[bytes]
    shell: Shell

    @property
    def is_running(self) -> bool:
        """Whether its QEMU is there."""
        return self.child.poll() is None

    def await_up(self, timeout_s: float = BOOT_S) -> str:
        """Wait until systemd has started all units; its word for it (`running`, `degraded`).

        Raises LabError when the time is up or QEMU ends.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                raise LabError("the host's QEMU ended while it booted: see qemu.log")
            try:
                done = self.shell.run("systemctl is-system-running --wait", timeout_s=timeout_s)
            except subprocess.TimeoutExpired:
                break
            if done.returncode != SSH_BROKE:
                return done.stdout.decode().strip()
            time.sleep(1)
        raise LabError(f"the host did not come up in {timeout_s:g} s: see console.log")

    def reboot(self) -> str:
        """Reboot by systemd and wait until all is up again; systemd's word for it."""
        before = self._boot_id()
        self.shell.run("systemctl reboot")
        self.shell.forget()
        deadline = time.monotonic() + BOOT_S
        while self._boot_id() in ("", before):
            if time.monotonic() > deadline or self.child.poll() is not None:
                raise LabError("the host did not come back from its reboot: see console.log")
            self.shell.forget()
            time.sleep(1)
        return self.await_up()

    def _boot_id(self) -> str:
        try:
            asked = self.shell.run("cat /proc/sys/kernel/random/boot_id", timeout_s=60)
        except subprocess.TimeoutExpired:
            return ""
        return asked.stdout.decode().strip()

    def cut_and_boot(self) -> str:
        """Cut the power, and boot from what the disks have by then; systemd's word for it."""
        self.cut_power()
        again = replace(self.machine, resumes=False).start()
        self.machine, self.child, self.shell = again.machine, again.child, again.shell
        return self.await_up()

    def save(self) -> None:
        """Keep the memory beside the disks, in them, and end QEMU. Raises LabError."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self.shell.socket.with_name("monitor")))
            monitor.sendall(f"savevm {_SAVED}\nquit\n".encode())
            try:
                self.child.wait(timeout=600)
            except subprocess.TimeoutExpired as error:
                raise LabError("the host's memory could not be saved: see qemu.log") from error

    def cut_power(self) -> None:
        """No goodbye to the host. Does nothing twice."""
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        self.shell.forget()
        shutil.rmtree(self.shell.socket.parent, ignore_errors=True)

    def keep_journal(self) -> None:
        """Put the journal and the failed units beside the console's log, when the host answers."""
        asked = "systemctl --failed --no-pager; journalctl -b --no-pager -o short-monotonic"
        try:
            told = self.shell.run(asked, timeout_s=120)
        except subprocess.TimeoutExpired:
            return
        (self.machine.run_dir / "journal.log").write_bytes(told.stdout)


def make_disk(target: Path, *, base: Path | None = None, size: int = 0) -> Path:
    """An empty disk of `size` bytes, or one that begins as `base` and leaves `base` as it is."""
    argv = ["qemu-img", "create", "-q", "-f", "qcow2"]
    argv += ["-F", "qcow2", "-b", str(base), str(target)] if base else [str(target), str(size)]
    subprocess.run(argv, check=True, stdout=sys.stderr)
    return target


@contextmanager
def running_host(machine: HostMachine) -> Iterator[RunningHost]:
    """A host that is up, with the volume group vg0; its power is cut at the end."""
    host = machine.start()
    try:
        host.await_up()
        if machine.resumes:  # its clock stood still
            host.shell.run(f"date -s @{time.time():.0f}")
        made = host.shell.run(f"vgs {VG} || vgcreate -y {VG} /dev/disk/by-id/virtio-volumes")
        if made.returncode:
            raise LabError(f"no volume group on the host: {made.stderr.decode()}")
        yield host
    finally:
        host.cut_power()
