"""Golden volumes put together into versions of templates, and those that are being made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TypeVar

from pizarra.model.facts import (
    Domain,
    Maintenance,
    Power,
    StorageKind,
    Template,
    Volume,
    labelled,
)
from pizarra.model.labels import (
    CheckpointLabels,
    Labels,
    MaintenanceLabels,
    Role,
    SeatLabels,
    TemplateLabels,
    version_labels_of,
)
from pizarra.model.sentence import Sentence

Of = TypeVar("Of", bound=Labels)
_Key = tuple[str, int, StorageKind, str]
_UNFINISHED = (Role.FILLING, Role.MAINTENANCE)


def _versions(volumes: Mapping[str, Volume]) -> dict[_Key, dict[Role, list[Volume]]]:
    """The volumes of each version, finished or not, by role; those of seats are none of it."""
    found: dict[_Key, dict[Role, list[Volume]]] = defaultdict(lambda: defaultdict(list))
    for volume in volumes.values():
        if volume.labels and (labels := version_labels_of(volume.labels)):
            key = (labels.template, labels.version, volume.kind, volume.place)
            found[key][volume.labels.role].append(volume)
    return found


def templates(volumes: Mapping[str, Volume]) -> tuple[Template, ...]:
    """Every version of which a disk is sealed; one that is not whole has a fault."""
    standing: dict[_Key, set[tuple[str, int]]] = defaultdict(set)
    for volume in volumes.values():
        labels = volume.labels
        if isinstance(labels, SeatLabels | CheckpointLabels):
            for version in {labels.version, labels.content_version or labels.version}:
                key = (labels.template, version, volume.kind, volume.place)
                standing[key].add((labels.classroom, labels.seat))
    return tuple(
        Template(
            name=key[0],
            version=key[1],
            kind=key[2],
            place=key[3],
            volumes=_by_disk(labelled(by_role[Role.TEMPLATE], TemplateLabels)),
            seats=len(standing[key]),
            fault=_fault(by_role),
        )
        for key, by_role in sorted(_versions(volumes).items())
        if by_role[Role.TEMPLATE]
    )


def _by_disk(volumes: list[Volume[Of]]) -> tuple[Volume[Of], ...]:
    return tuple(sorted(volumes, key=lambda volume: volume.labels.disk))


def _fault(by_role: Mapping[Role, list[Volume]]) -> str | None:
    if any(by_role[role] for role in _UNFINISHED):
        return Sentence("its publishing was cut off: run pizarra recover")
    return next((volume.fault for volume in by_role[Role.TEMPLATE] if volume.fault), None)


def unfinished_imports(
    volumes: Mapping[str, Volume],
) -> tuple[tuple[Volume, ...], tuple[Volume, ...]]:
    """(to seal, to remove): what versions consist of that were cut off while being made.

    Sealing begins when every disk is whole; so where one is sealed, the others may be. A draft
    gets its machine when all its disks are there; so where one is not, nobody has used it.
    """
    to_seal: list[Volume] = []
    to_remove: list[Volume] = []
    for by_role in _versions(volumes).values():
        if by_role[Role.TEMPLATE]:
            to_seal += by_role[Role.FILLING] + by_role[Role.MAINTENANCE]
        elif by_role[Role.FILLING]:
            to_remove += by_role[Role.FILLING] + by_role[Role.MAINTENANCE]
    return tuple(to_seal), tuple(to_remove)


def maintenances(
    volumes: Mapping[str, Volume], domains: Mapping[str, Domain]
) -> tuple[Maintenance, ...]:
    """The versions that somebody is making now, each with its machine."""
    versions = _versions(volumes)
    wanted: dict[tuple[str, StorageKind, str], int] = {}  # disks of the newest version
    for key, by_role in sorted(versions.items()):
        if sealed := by_role[Role.TEMPLATE]:
            wanted[key[0], key[2], key[3]] = len(sealed)
    return tuple(
        _maintenance(key, drafts, wanted.get((key[0], key[2], key[3]), len(drafts)), domains)
        for key, by_role in sorted(versions.items())
        if (drafts := _by_disk(labelled(by_role[Role.MAINTENANCE], MaintenanceLabels)))
        and not by_role[Role.FILLING]
        and not by_role[Role.TEMPLATE]
    )


def _maintenance(
    key: _Key,
    disks: tuple[Volume[MaintenanceLabels], ...],
    wanted: int,
    domains: Mapping[str, Domain],
) -> Maintenance:
    labels = disks[0].labels
    domain = domains.get(labels.domain)
    missing = Sentence("a disk of it is missing") if len(disks) < wanted else None
    return Maintenance(
        template=key[0],
        version=key[1],
        kind=key[2],
        place=key[3],
        name=machine_name(key[0]),
        domain_uuid=labels.domain,
        power=domain.power if domain else Power.ABSENT,
        has_saved_ram=domain is not None and domain.has_saved_ram,
        has_snapshots=domain is not None and domain.has_snapshots,
        volumes=disks,
        fault=missing or next((disk.fault for disk in disks if disk.fault), None),
    )


def machine_name(template: str) -> str:
    """``debian-maintenance``: no seat is called so, for those end in a number."""
    return f"{template}-maintenance"
