"""RAM that libvirt itself saved of a machine (``virsh managedsave``): kept, put back, dropped.

Each function gets a domain of libvirt's and an open connection.
"""

from __future__ import annotations

import os
from pathlib import Path

import libvirt

from pizarra.compute.libvirt_connection import Connection, VirDomain
from pizarra.errors import ComputeFault
from pizarra.system.file_copies import link_or_copy

_FOLDER = Path("/var/lib/libvirt/qemu/save")  # at qemu:///system


def keep(domain: VirDomain, to: Path) -> None:
    """The RAM is in the file ``to`` too. Raises ComputeFault."""
    try:
        link_or_copy(_FOLDER / f"{domain.name()}.save", to)
    except OSError as error:
        raise ComputeFault(
            "The saved RAM of {name} could not be kept: {why}.",
            "See: ls -l {folder}",
            name=domain.name(),
            why=os.strerror(error.errno or 0),
            folder=_FOLDER,
        ) from None


def put(conn: Connection, domain: VirDomain, path: Path) -> None:
    """libvirt takes RAM only from a machine, which stands still for as long as that takes."""
    conn.restoreFlags(str(path), None, libvirt.VIR_DOMAIN_SAVE_PAUSED)
    domain.managedSave(libvirt.VIR_DOMAIN_SAVE_RUNNING)


def drop(domain: VirDomain) -> None:
    """Fine if there is none."""
    if domain.hasManagedSaveImage():
        domain.managedSaveRemove()
