"""Volumes, a network and a machine of other people, which Pizarra may not touch."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from tests.contract.storage_lvm import POOL, VG, direct_write, lvm
from tests.lab.conftest import command

ARCHIVE, NAMESAKE = "archive", "fake-01.vda"
MACHINE, NETWORK = "theirs", "theirs-net"
SIZE = 16 << 20
_DOMAIN = f"""\
<domain type='qemu'>
  <name>{MACHINE}</name>
  <uuid>c0ffee00-0000-4000-8000-0000000000d0</uuid>
  <description>nobody of ours</description>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <disk type='block' device='disk'>
      <driver name='qemu' type='raw' cache='none'/>
      <source dev='/dev/{VG}/{ARCHIVE}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <memballoon model='none'/>
  </devices>
</domain>
"""
_NETWORK = f"""\
<network>
  <name>{NETWORK}</name>
  <uuid>c0ffee00-0000-4000-8000-0000000000e0</uuid>
  <bridge name='theirs0'/>
  <ip address='10.9.8.1' netmask='255.255.255.0'/>
</network>
"""


def create_foreign(folder: Path) -> None:
    """Create two volumes with data, a network and a machine of somebody else.

    One volume has a name that Pizarra would give. The machine holds a volume open; it is paused, so
    that it costs no processor.
    """
    for name, tag in ((ARCHIVE, "backup.owner=registry"), (NAMESAKE, "fake")):
        lvm("lvcreate", "-y", "-Wn", "-L", f"{SIZE}b", "--addtag", tag, "-n", name, VG)
        for at in range(0, SIZE, 1 << 20):
            direct_write(Path(f"/dev/{VG}/{name}"), at, os.urandom(1 << 20))
    for verb, xml in (("define", _DOMAIN), ("net-define", _NETWORK)):
        file = folder / "foreign.xml"
        file.write_text(xml)
        command("virsh", "-q", verb, file)
    command("virsh", "-q", "start", "--paused", MACHINE)


def foreign_state() -> dict[str, str]:
    """All that must be equal before and after a test."""
    fields = "lv_name,lv_uuid,lv_tags,lv_size,lv_attr,seg_pe_ranges"
    volumes = (f"{VG}/{ARCHIVE}", f"{VG}/{NAMESAKE}")
    return {
        "volumes": lvm("lvs", "--noheadings", "-o", fields, *volumes),
        **{name: _sha256(Path(f"/dev/{VG}/{name}")) for name in (ARCHIVE, NAMESAKE)},
        "machine": command("virsh", "-q", "dumpxml", "--security-info", MACHINE),
        "state": command("virsh", "-q", "domstate", "--reason", MACHINE),
        "process": command("pgrep", "-f", f"guest={MACHINE},"),
        "network": command("virsh", "-q", "net-dumpxml", NETWORK),
    }


def remove_foreign() -> None:
    """Remove what ``create_foreign`` created."""
    command("virsh", "-q", "destroy", MACHINE)
    command("virsh", "-q", "undefine", MACHINE)
    command("virsh", "-q", "net-undefine", NETWORK)
    lvm("lvremove", "-ff", "-y", f"{VG}/{ARCHIVE}", f"{VG}/{NAMESAKE}")


def check_pool() -> None:
    """Run ``thin_check`` on the thin pool's metadata while the pool is inactive.

    LVM lets the metadata be active alone, read-only, while the pool is not.
    """
    in_pool = ("-S", f"vg_name={VG} && pool_lv={POOL}")
    metadata = f"{VG}/{POOL}_tmeta"
    lvm("lvchange", "-y", "-an", *in_pool)
    lvm("lvchange", "-y", "-an", f"{VG}/{POOL}")
    lvm("lvchange", "-y", "-ay", metadata)
    checked = subprocess.run(["thin_check", f"/dev/{metadata}"], capture_output=True, text=True)
    lvm("lvchange", "-y", "-an", metadata)
    lvm("lvchange", "-y", "-ay", f"{VG}/{POOL}")
    lvm("lvchange", "-y", "-ay", *in_pool)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def _sha256(path: Path) -> str:
    """SHA-256 of what is on the disk, read without the page cache."""
    read = ["dd", f"if={path}", "iflag=direct", "bs=1M", "status=none"]
    return hashlib.sha256(subprocess.run(read, check=True, capture_output=True).stdout).hexdigest()
