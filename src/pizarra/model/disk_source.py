"""What QEMU opens as a disk: a value from which the domain XML is made, and not a path.

Source: https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BlockDevice:
    """A device of this host: a logical volume. QEMU reads and writes it as it is."""

    path: Path

    @property
    def format(self) -> str:
        """Of QEMU."""
        return "raw"


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file of this host, in a format of QEMU: raw, qcow2."""

    path: Path
    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RbdImage:
    """An image of a Ceph cluster, which QEMU reaches by the network."""

    pool: str
    image: str
    monitors: tuple[str, ...]  # host or host:port
    user: str = ""  # of the cluster; empty where it asks for none
    secret_uuid: str = ""  # of the libvirt secret with that user's key

    @property
    def format(self) -> str:
        """Of QEMU."""
        return "raw"


DiskSource = BlockDevice | ImageFile | RbdImage
