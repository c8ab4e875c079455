"""What people do today, with the tools' own commands: each puts one disk back and says how long."""

from __future__ import annotations

from pathlib import Path

from bench.disks import VG
from bench.series import timed_ms
from pizarra.model.facts import Volume
from pizarra.model.sizes import MIB
from pizarra.system.process import run


def proxmox_ms(seat: Volume, golden: str) -> float:
    """Remove the linked clone, make it again, activate it: a process each."""

    def act() -> None:
        run(["lvremove", "-q", "-y", f"{VG}/{seat.name}"], timeout_s=300)
        run(["lvcreate", "-q", "-y", "-s", "-kn", "-n", seat.name, f"{VG}/{golden}"], timeout_s=300)
        run(["lvchange", "-ay", f"{VG}/{seat.name}"], timeout_s=300)

    return timed_ms(act)


def overlay_ms(folder: Path, base: Path, number: int) -> float:
    """Throw the qcow2 overlay away and make another."""
    overlay = folder / f"overlay-{number}.qcow2"
    overlay.write_bytes(bytes(MIB))
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2"]

    def act() -> None:
        run(["rm", "-f", str(overlay)])
        run([*create, "-b", str(base), str(overlay)])

    return timed_ms(act)


_DOMAIN = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{disk}'/>
<target dev='vda' bus='virtio'/></disk></devices></domain>"""


class VirshSnapshots:
    """A machine that is off, with an internal snapshot in its qcow2 file."""

    def __init__(self, folder: Path, dirty_bytes: int) -> None:
        self.name = "bench-virsh"
        self.disk = folder / "virsh.qcow2"
        self.dirty_mib = dirty_bytes // MIB
        run(["qemu-img", "create", "-q", "-f", "qcow2", str(self.disk), "1G"])
        self._write(4, "0x11")
        xml = folder / "virsh.xml"
        xml.write_text(_DOMAIN.format(name=self.name, disk=self.disk), encoding="utf-8")
        run(["virsh", "-q", "define", str(xml)])
        run(["virsh", "-q", "snapshot-create-as", self.name, "original"], timeout_s=300)

    def _write(self, mib: int, pattern: str) -> None:
        for start in range(0, mib, 4):
            write = f"write -q -P {pattern} {start}M 4M"
            run(["qemu-io", "-f", "qcow2", "-c", write, str(self.disk)])

    def reverted_ms(self) -> float:
        """Dirty it, then go back."""
        self._write(self.dirty_mib, "0x22")
        revert = ["virsh", "-q", "snapshot-revert", self.name, "original"]
        return timed_ms(lambda: run(revert, timeout_s=300))

    def remove(self) -> None:
        """Nothing stays."""
        run(["virsh", "-q", "snapshot-delete", self.name, "original"], timeout_s=300)
        run(["virsh", "-q", "undefine", self.name])
        self.disk.unlink()
