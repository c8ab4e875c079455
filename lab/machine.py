"""The lab's QEMU: its description (LabMachine), and the running process (RunningLab)."""

import os
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from lab.accelerator import Accelerator, choose_accelerator
from lab.initramfs import get_initramfs
from lab.kernel import Kernel, get_kernel
from lab.near_files import get_near_files
from lab.places import CACHE, GUEST

DISK_BYTES = 20 << 30
PORTS = ("control", "out", "err", "size")
_APPEND = (
    "console=ttyS0 loglevel=4 panic=-1 "
    # This check runs against the clock and panics when emulation gets too little processor
    "no_timer_check "
    # These cost time under emulation, and the lab does not need them
    "mitigations=off nokaslr tsc=reliable random.trust_cpu=on cryptomgr.notests nowatchdog "
    "raid=noautodetect audit=0 init_on_alloc=0 lsm= psi=0"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The block device behind vg_class, as QEMU -blockdev options.

    The last node must be named `vg`. It may be a filter, such as blklogwrites, over the nodes
    before it. `fds` are open files that QEMU finds as /dev/fdset/<number>.
    """

    blockdevs: tuple[str, ...]
    fds: tuple[int, ...] = ()
    is_new: bool = False
    is_kept: bool = False


def temporary_disk() -> Disk:
    """A sparse disk without a name, so that no run can leave it behind. It owns one descriptor."""
    folder = CACHE / "disks"
    folder.mkdir(parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(dir=folder)
    Path(name).unlink()
    os.ftruncate(fd, DISK_BYTES)
    return Disk(blockdevs=(_file_node(f"/dev/fdset/{fd}"),), fds=(fd,), is_new=True)


def lasting_disk(path: Path) -> Disk:
    """A disk in a file that outlives the lab. A missing file is made, sparse."""
    is_new = not path.exists()
    if is_new:
        with path.open("xb") as handle:
            handle.truncate(DISK_BYTES)
    return Disk(blockdevs=(_file_node(str(path.resolve())),), is_new=is_new, is_kept=True)


def _file_node(filename: str) -> str:
    escaped = filename.replace(",", ",,")
    return f"driver=file,filename={escaped},node-name=vg,discard=unmap,aio=threads"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabMachine:
    """One lab to boot. `run_dir` holds its settings and its logs."""

    run_dir: Path
    out_dir: Path
    disk: Disk
    accelerator: Accelerator = field(default_factory=choose_accelerator)
    memory_mib: int = 6144
    vcpus: int = 2
    terminal: bool = False
    extra_qemu_args: tuple[str, ...] = ()

    def start(self) -> "RunningLab":
        """Start QEMU. QEMU dies with the process of the calling thread."""
        kernel = get_kernel()
        ours, theirs = _ports(self.terminal)
        argv = [*_TIED_TO_US, *self._argv(kernel, theirs)]
        with (self.run_dir / "qemu.log").open("wb") as log:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(*self.disk.fds, *(end.fileno() for end in theirs.values())),
                process_group=0,
            )
        for end in theirs.values():
            end.close()
        return RunningLab(child=child, ports=ours)

    def _argv(self, kernel: Kernel, ends: dict[str, socket.socket]) -> list[str]:
        append = f"{_APPEND} lab.boot={GUEST / 'boot'} lab.run={self.run_dir}"
        argv = ["qemu-system-x86_64", "-name", "lab", "-nodefaults", "-no-user-config"]
        argv += ["-display", "none", "-no-reboot", "-machine", "q35"]
        argv += [*self.accelerator.qemu_args, "-smp", str(self.vcpus), "-m", str(self.memory_mib)]
        argv += ["-kernel", str(kernel.image), "-initrd", str(get_initramfs(kernel))]
        argv += ["-append", append, "-serial", f"file:{self.run_dir / 'console.log'}"]
        argv += _share_args("root", Path("/"), "readonly=on,multidevs=remap")
        argv += _share_args("out", self.out_dir, "multidevs=remap")
        argv += _share_args("run", self.run_dir, "multidevs=remap")
        for fd in self.disk.fds:
            argv += ["-add-fd", f"fd={fd},set={fd}"]
        for node in self.disk.blockdevs:
            argv += ["-blockdev", node]
        argv += ["-device", "virtio-blk-pci,drive=vg,serial=vg_class"]
        argv += _near_files()
        return argv + _serial_ports(ends) + list(self.extra_qemu_args)


# QEMU dies with us, even if we are killed with SIGKILL
_TIED_TO_US = ("setpriv", "--pdeathsig", "KILL")


def _share_args(tag: str, path: Path, more: str) -> list[str]:
    where = str(path).replace(",", ",,")
    return ["-virtfs", f"local,path={where},mount_tag={tag},security_model=none,{more}"]


def _near_files() -> list[str]:
    if (image := get_near_files()) is None:
        return []
    where = str(image).replace(",", ",,")
    node = f"driver=file,filename={where},node-name=near,read-only=on"
    return ["-blockdev", node, "-device", "virtio-blk-pci,drive=near,serial=near-files"]


def _ports(terminal: bool) -> tuple[dict[str, socket.socket], dict[str, socket.socket]]:
    names = (*PORTS, "terminal") if terminal else PORTS
    pairs = {name: socket.socketpair() for name in names}
    return {n: a for n, (a, _) in pairs.items()}, {n: b for n, (_, b) in pairs.items()}


def _serial_ports(ends: dict[str, socket.socket]) -> list[str]:
    argv = ["-device", "virtio-serial-pci"]
    for number, (name, end) in enumerate(ends.items(), start=1):
        kind = "virtconsole" if name == "terminal" else "virtserialport"
        argv += ["-chardev", f"socket,id={name},fd={end.fileno()}"]
        argv += ["-device", f"{kind},nr={number},chardev={name},name=lab.{name}"]
    return argv


@dataclass(slots=True, kw_only=True)
class RunningLab:
    """A running QEMU, and our ends of its serial ports by name."""

    child: subprocess.Popen[bytes]
    ports: dict[str, socket.socket]

    def kill(self) -> None:
        """Cut the power: kill QEMU at once. A second call does nothing."""
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        for end in self.ports.values():
            end.close()

    def __enter__(self) -> "RunningLab":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
