"""Volumes of libvirt's storage pools. Each function gets an open connection."""

from __future__ import annotations

from pathlib import Path

from pizarra.compute.libvirt_connection import Connection, or_none
from pizarra.errors import HostNotFit, NotFound, Unsupported


def volume_path(conn: Connection, pool: str, name: str) -> Path:
    """The file or device of a volume. Raises NotFound, HostNotFit, Unsupported."""
    found = or_none(conn.storagePoolLookupByName, pool)
    if found is None:
        raise NotFound(
            "There is no storage pool {pool} in libvirt.", "See: virsh pool-list --all", pool=pool
        )
    if not found.isActive():
        raise HostNotFit(
            "The storage pool {pool} is not active.",
            "Start it: virsh pool-start {pool}",
            pool=pool,
        )
    volume = or_none(found.storageVolLookupByName, name)
    if volume is None:
        raise NotFound(
            "There is no volume {name} in the storage pool {pool}.",
            "Have libvirt look again: virsh pool-refresh {pool}",
            name=name,
            pool=pool,
        )
    path = Path(volume.path())
    if not path.is_absolute():  # of a pool on Ceph or Gluster
        raise Unsupported(
            "The volume {name} of the storage pool {pool} is no file or device: {path}.",
            "Copy it to a file first: virsh vol-download {name} FILE --pool {pool}",
            name=name,
            pool=pool,
            path=path,
        )
    return path
