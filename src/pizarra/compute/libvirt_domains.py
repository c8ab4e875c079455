"""Domains of libvirt, looked up and read inside of a call. A function gets an open connection."""

from __future__ import annotations

import libvirt

from pizarra.compute.interface import DomainSpec
from pizarra.compute.libvirt_connection import Connection, VirDomain, or_none
from pizarra.compute.seat_metadata import NAMESPACE
from pizarra.errors import ComputeFault, NotOurs
from pizarra.model.facts import Domain, Power

_POWER = {
    libvirt.VIR_DOMAIN_NOSTATE: Power.RUNNING,
    libvirt.VIR_DOMAIN_RUNNING: Power.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: Power.RUNNING,
    libvirt.VIR_DOMAIN_SHUTDOWN: Power.RUNNING,  # on its way: QEMU still holds the disks
    libvirt.VIR_DOMAIN_PAUSED: Power.PAUSED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: Power.PAUSED,
    libvirt.VIR_DOMAIN_SHUTOFF: Power.OFF,
    libvirt.VIR_DOMAIN_CRASHED: Power.CRASHED,
}


def all_domains(conn: Connection) -> tuple[Domain, ...]:
    """Three calls, whatever the number of domains: libvirt itself picks those with saved RAM, and
    those with snapshots."""
    now = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
    found = conn.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, now)
    saved = _uuids(conn, libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)
    snapshots = _uuids(conn, libvirt.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT)
    return tuple(
        Domain(
            uuid=(uuid := domain.UUIDString()),
            name=domain.name(),
            power=_POWER[stats["state.state"]],
            has_saved_ram=uuid in saved,
            has_snapshots=uuid in snapshots,
        )
        for domain, stats in found
    )


def _uuids(conn: Connection, flag: int) -> frozenset[str]:
    return frozenset(domain.UUIDString() for domain in conn.listAllDomains(flag))


def read_domain(domain: VirDomain | None) -> Domain | None:
    if domain is None:
        return None
    return Domain(
        uuid=domain.UUIDString(),
        name=domain.name(),
        power=_POWER[domain.state()[0]],
        has_saved_ram=bool(domain.hasManagedSaveImage()),
        has_snapshots=domain.snapshotNum() > 0,
    )


def by_uuid(conn: Connection, uuid: str) -> VirDomain | None:
    return or_none(conn.lookupByUUIDString, uuid)


def by_name(conn: Connection, name: str) -> VirDomain | None:
    return or_none(conn.lookupByName, name)


def find_domain(conn: Connection, uuid: str) -> VirDomain:
    domain = by_uuid(conn, uuid)
    if domain is None:
        raise ComputeFault(
            "libvirt knows no domain with the UUID {uuid}.",
            "`pizarra recover` defines the domains of seats again.",
            uuid=uuid,
        )
    return domain


def check_name_free(conn: Connection, spec: DomainSpec) -> None:
    """Raises NotOurs if the name or the UUID of ``spec`` belongs to a domain of somebody else."""
    known = by_name(conn, spec.name) or by_uuid(conn, spec.uuid)
    if known is None:
        return
    if known.UUIDString() != spec.uuid:
        raise NotOurs(
            "A domain {name} is there already, and it is not ours: its UUID is {found}.",
            "Rename it (virsh domrename) or choose another name for the classroom.",
            name=spec.name,
            found=known.UUIDString(),
        )
    check_ours(known)


def check_ours(domain: VirDomain) -> None:
    try:
        kind, stored = libvirt.VIR_DOMAIN_METADATA_ELEMENT, libvirt.VIR_DOMAIN_AFFECT_CONFIG
        domain.metadata(kind, NAMESPACE, stored)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN_METADATA:
            raise
        raise NotOurs(
            "The domain {name} has the UUID of a seat but lacks our metadata. It is left alone.",
            "See what it is: virsh dumpxml {name}",
            name=domain.name(),
            uuid=domain.UUIDString(),
        ) from None
