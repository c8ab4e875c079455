"""The lab as a host whose own disk outlives a cut: what Pizarra notes, what libvirt defines."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import time
from pathlib import Path

import libvirt

VG = "vg_class"
STATE = Path("/var/lib/pizarra")
DEFINITIONS = Path("/etc/libvirt/qemu")
_DISK, _LOAD_LIMIT_S = "state", 30
_BLKFLSBUF = 0x1261  # linux/fs.h


def ran(*argv: str, stdin: str | None = None) -> str:
    """What it prints. Raises when it fails."""
    return subprocess.run(argv, check=True, capture_output=True, text=True, input=stdin).stdout


def content(device: Path) -> bytes:
    """All of it; past the page cache, when it is a device."""
    with device.open("rb") as file:
        if device.is_block_device():
            fcntl.ioctl(file, _BLKFLSBUF)
        return file.read()


def sha256(device: Path) -> str:
    """To be compared with another boot's."""
    return hashlib.sha256(content(device)).hexdigest()


def own_disk_made() -> None:
    """A volume for what is on a host's root filesystem."""
    ran("lvcreate", "-q", "-y", "-Wn", "-L", "64m", "-n", _DISK, VG)
    ran("mkfs.ext4", "-q", f"/dev/{VG}/{_DISK}")


def own_disk_mounted() -> None:
    """libvirt reads its definitions from there, as at a boot."""
    STATE.mkdir(parents=True, exist_ok=True)
    ran("mount", f"/dev/{VG}/{_DISK}", str(STATE))
    kept = STATE / "libvirt"
    kept.mkdir(exist_ok=True)
    ran("mount", "--bind", str(kept), str(DEFINITIONS))
    ran("pkill", "-HUP", "libvirtd")
    # a definition that cannot be read is a machine that is gone: that is judged, not waited for
    deadline = time.monotonic() + _LOAD_LIMIT_S
    while time.monotonic() < deadline:
        if {file.stem for file in DEFINITIONS.glob("*.xml")} <= machines():
            return
        time.sleep(0.1)


def machines() -> set[str]:
    """The names that libvirt knows."""
    connection = libvirt.open("qemu:///system")
    try:
        return {machine.name() for machine in connection.listAllDomains()}
    finally:
        connection.close()


def own_disk_away() -> None:
    """Before the volume group sleeps."""
    ran("umount", str(DEFINITIONS))
    ran("umount", str(STATE))
