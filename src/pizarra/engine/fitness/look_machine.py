"""The machine and its operating system: commands, KVM, libvirt, udev, folders, disks, modules."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pizarra.compute.libvirt_connection import libvirt_version
from pizarra.engine.fitness.facts import (
    FolderSeen,
    KernelSeen,
    MachineSeen,
    Trouble,
    Version,
    trouble,
)
from pizarra.engine.fitness.look_tools import ask_tools
from pizarra.errors import CommandFailed, HostNotFit, PizarraError
from pizarra.model.sentence import N_
from pizarra.model.sizes import GIB
from pizarra.system import devmapper
from pizarra.system.host_kernel import has_kernel
from pizarra.system.locks import HOST_LOCKS, LVM_LOCKS
from pizarra.system.process import environment, run

COMMANDS = (
    *("qemu-system-x86_64", "qemu-img", "libvirtd", "virtqemud", "lvm", "dmeventd", "thin_check"),
    *("thin_delta", "dnsmasq", "iptables", "nft", "apt-get", "ip", "unshare"),
    *("mkfs.vfat", "mcopy", "openssl", "debugfs", "sfdisk", "ssh-keygen"),
)
MODULES = ("dm_mod", "dm_thin_pool", "dm_snapshot", "bridge", "tun", "kvm_intel", "kvm_amd")
_FIRMWARE = Path("/usr/share/qemu/firmware")
_LIMIT_S = 10
_PAGE_BYTES = 4096
_DISK_LEAST_BYTES = 8 * GIB


def look_at_machine(folders: Sequence[Path], closed: Sequence[str] = ()) -> MachineSeen:
    """Raises nothing: what cannot be found out is among the facts."""
    path = environment()["PATH"]
    installed = frozenset(name for name in COMMANDS if shutil.which(name, path=path))
    tried = ask_tools(installed)
    return MachineSeen(
        commands=installed,
        broken={name: one.complaint for name, one in tried.items() if one.complaint},
        versions={name: one.version for name, one in tried.items() if not one.complaint},
        cpu_flag=_cpu_flag(),
        systemd=Path("/run/systemd/system").is_dir(),
        udev=_succeeds("udevadm", "control", "--ping", "--timeout=5"),
        uefi=any(_FIRMWARE.glob("*x86_64*.json")),
        kernel_files=has_kernel(),
        not_writable={
            str(path): why for path in (*folders, LVM_LOCKS, HOST_LOCKS) if (why := _refusal(path))
        },
        closed=tuple(closed),
    )


def look_at_libvirt(uri: str) -> Version | Trouble:
    """Its version, from the daemon itself."""
    try:
        return libvirt_version(uri)
    except PizarraError as error:
        return trouble(error)


def _cpu_flag() -> str:
    """Not that of an emulated CPU: it has one, and a guest under KVM would take minutes to boot."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    if "QEMU TCG CPU" in text:
        return ""
    flags = next((line.split() for line in text.splitlines() if line.startswith("flags")), [])
    return next((flag for flag in ("vmx", "svm") if flag in flags), "")


def _succeeds(*argv: str) -> bool:
    try:
        return run(argv, timeout_s=_LIMIT_S, check=False).returncode == 0
    except (CommandFailed, HostNotFit):
        return False


def _nearest(path: Path) -> Path:
    """The path, or the folder above it that is there."""
    return next(one for one in (path, *path.parents) if one.exists())


def _refusal(path: Path) -> str:
    """Why nothing can be written there; tried, as a mode says nothing of a disk that is full."""
    try:
        with tempfile.NamedTemporaryFile(dir=_nearest(path), prefix=".pizarra-") as file:
            file.write(bytes(_PAGE_BYTES))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def look_at_folder(folder: Path) -> FolderSeen | Trouble:
    """The file system on which the folder is, or will be."""
    try:
        found = os.statvfs(_nearest(folder))
    except OSError as error:
        return Trouble(
            text=N_("{folder} cannot be looked at: {why}."),
            facts={"folder": str(folder), "why": error.strerror},
        )
    return FolderSeen(
        path=str(folder),
        size_bytes=found.f_blocks * found.f_frsize,
        free_bytes=found.f_bavail * found.f_frsize,
    )


def look_at_kernel() -> KernelSeen:
    """Targets that are loaded, and modules that could be."""
    targets: frozenset[str] | Trouble
    try:
        targets = frozenset(devmapper.target_versions())
    except PizarraError as error:
        targets = trouble(error)
    except OSError as error:
        targets = Trouble(
            text=N_("device-mapper cannot be asked: {why}."), facts={"why": error.strerror}
        )
    loadable = (name for name in MODULES if _succeeds("modprobe", "-n", "-q", name))
    return KernelSeen(targets=targets, loadable=frozenset(loadable))


def free_disks() -> dict[str, int]:
    """Whole disks on which neither partitions nor a file system nor LVM are to be seen."""
    asked = ["lsblk", "--json", "-b", "-o", "PATH,TYPE,SIZE,FSTYPE,PTTYPE,MOUNTPOINTS,RO"]
    try:
        told = json.loads(run(asked, timeout_s=_LIMIT_S).stdout)
        return {disk["path"]: disk["size"] for disk in told["blockdevices"] if _unused(disk)}
    except (PizarraError, ValueError, LookupError, TypeError):
        return {}  # it is a help to the reader, no more


def _unused(disk: dict[str, object]) -> bool:
    size, mounted = disk.get("size"), disk.get("mountpoints")
    return (
        disk.get("type") == "disk"
        and isinstance(size, int)
        and size >= _DISK_LEAST_BYTES
        and not (disk.get("fstype") or disk.get("pttype") or disk.get("children") or disk.get("ro"))
        and isinstance(mounted, list)
        and not any(mounted)
    )
