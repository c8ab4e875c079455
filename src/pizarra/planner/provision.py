"""What a classroom is made of: volumes, machines, a network. The same wish gives the same plan."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Interface, IPv4Network

from pizarra.compute.addresses import choose_subnet, gateway_address, seat_address
from pizarra.compute.interface import DiskSpec, DomainSpec, Lease, NetworkSpec
from pizarra.errors import AlreadyExists, BadInput, NotOurs
from pizarra.model.classroom_record import ClassroomRecord
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.facts import Classroom, Seat, StorageKind, Template, Volume
from pizarra.model.labels import MaintenanceLabels, SeatLabels, TemplateLabels
from pizarra.model.names import SEATS_MAX, seat_mac, seat_name, seat_uuid
from pizarra.model.sizes import size_text
from pizarra.planner.host_facts import HostFacts
from pizarra.storage.interface import Capabilities, NewVolume

OWN_NETWORKS = ("isolated", "nat")


def golden_name(template: str, version: int, disk: str) -> str:
    """``debian.v1.vda``."""
    return f"{template}.v{version}.{disk}"


def disk_name(seat: str, disk: str) -> str:
    """``net-07.vda``."""
    return f"{seat}.{disk}"


def network_uuid(classroom: str) -> str:
    """The same every time that this classroom is made."""
    return str(uuid.uuid5(uuid.UUID(seat_uuid(classroom, 0)), "network"))


def check_names_free(facts: HostFacts, spec: ClassroomSpec, numbers: Iterable[int]) -> None:
    """Raises NotOurs when a machine or volume that is not ours has a name that we would use."""
    domains = {domain.name for domain in facts.domains.values()}
    volumes = {volume.name for volume in facts.volumes.values()}
    for number in numbers:
        name = seat_name(spec.name, number)
        if name in domains or disk_name(name, "vda") in volumes:
            raise NotOurs(
                "There is a machine or a volume {name} already, and it is not of this classroom.",
                "Choose another name for the classroom, or rename the other one.",
                name=name if name in domains else disk_name(name, "vda"),
            )


def check_new(facts: HostFacts, spec: ClassroomSpec) -> None:
    """Raises AlreadyExists when there is a classroom of this name."""
    if spec.name in facts.classrooms:
        raise AlreadyExists(
            "There is a classroom {name} already.",
            "Choose another name, change it with `pizarra classroom resize`, or delete it.",
            name=spec.name,
        )
    check_names_free(facts, spec, range(1, spec.seats + 1))


def check_template(
    template: Template, spec: ClassroomSpec, capabilities: Mapping[StorageKind, Capabilities]
) -> None:
    """Raises NotOurs, BadInput when no seat can stand on it, or none of the size wished."""
    if template.fault:
        raise NotOurs(
            "The template {name} cannot be used: {why}.", name=template.name, why=template.fault
        )
    size_bytes = template.volumes[0].size_bytes
    wished = spec.disk_bytes or size_bytes
    if wished < size_bytes:
        raise BadInput(
            "The disk of the template {name} has {has}; {wished} would cut off its end.",
            "Leave out --disk, or choose at least {has}.",
            name=template.name,
            has=size_text(size_bytes),
            wished=size_text(wished),
        )
    if wished > size_bytes and not capabilities[template.kind].resize_at_create:
        raise BadInput(
            "On {kind} a seat's disk is as large as the template's: {has}.",
            "Leave out --disk, or import the template on lvm-thin.",
            kind=template.kind,
            has=size_text(size_bytes),
        )


def seat_volumes(
    template: Template, spec: ClassroomSpec, numbers: Sequence[int]
) -> list[tuple[Volume, list[NewVolume]]]:
    """For each golden disk, the seats' volumes that stand on it."""
    return [
        (golden, [_seat_volume(golden, spec, number) for number in numbers])
        for golden in template.volumes
    ]


def _seat_volume(golden: Volume[TemplateLabels], spec: ClassroomSpec, number: int) -> NewVolume:
    origin = golden.labels
    labels = SeatLabels(
        classroom=spec.name,
        seat=number,
        disk=origin.disk,
        domain=seat_uuid(spec.name, number),
        template=origin.template,
        version=origin.version,
        baseline=golden.uuid,
        firmware=origin.firmware,
        firmware_state=origin.firmware_state,
        hardware=origin.hardware,
        persistent=origin.persistent,
    )
    first = origin.disk == "vda"
    size_bytes = spec.disk_bytes if spec.disk_bytes and first else golden.size_bytes
    name = disk_name(seat_name(spec.name, number), origin.disk)
    return NewVolume(labels=labels, size_bytes=size_bytes, name=name)


def record_of(spec: ClassroomSpec, version: int) -> ClassroomRecord:
    """What is said once for a classroom that is made as wished, of this version."""
    return ClassroomRecord(
        classroom=spec.name,
        template=spec.template,
        version=version,
        memory_bytes=spec.memory_bytes,
        vcpus=spec.vcpus,
        network=spec.network,
        policy=spec.policy,
    )


def domain_spec(seat: Seat) -> DomainSpec:
    """A seat's machine, from its volumes and its classroom's record: enough to make it again from
    disks alone."""
    labels, record = seat.labels, seat.record
    return DomainSpec(
        uuid=seat.domain_uuid,
        name=seat.name,
        classroom=seat.classroom,
        number=seat.number,
        template=labels.template,
        version=labels.version,
        memory_bytes=record.memory_bytes,
        vcpus=record.vcpus,
        firmware=labels.firmware,
        tpm="tpm" in labels.firmware_state,
        hardware=labels.hardware,
        disks=[disk_spec(volume) for volume in seat.all_volumes],
        network=record.network,
        mac=seat_mac(seat.classroom, seat.number),
    )


def disk_spec(volume: Volume[SeatLabels] | Volume[MaintenanceLabels]) -> DiskSpec:
    """A disk of a machine."""
    labels = volume.labels
    return DiskSpec(source=volume.source, target=labels.disk, bus=labels.hardware.bus)


def network_spec(
    classroom: str, mode: str, numbers: Sequence[int], gateways: Mapping[str, str]
) -> NetworkSpec:
    """Its network with a known address for every seat; a network that is there keeps its subnet."""
    own = network_uuid(classroom)
    if own in gateways:
        subnet = IPv4Interface(gateways[own]).network
    else:
        taken = [IPv4Interface(gateway).network for gateway in gateways.values()]
        subnet = choose_subnet(classroom, max(numbers, default=0), taken)
    return NetworkSpec(
        classroom=classroom,
        uuid=own,
        mode=mode,
        leases=[_lease(classroom, number, subnet) for number in numbers],
        gateway=str(gateway_address(subnet)),
        prefix=subnet.prefixlen,
    )


def _lease(classroom: str, number: int, subnet: IPv4Network) -> Lease:
    return Lease(
        name=seat_name(classroom, number),
        mac=seat_mac(classroom, number),
        address=str(seat_address(subnet, number)),
    )


def missing_numbers(classroom: Classroom, seats: int) -> list[int]:
    """The numbers of seats that a classroom lacks to have ``seats``: gaps first."""
    present = {seat.number for seat in classroom.seats}
    missing = seats - len(present)
    free = [number for number in range(1, SEATS_MAX + 1) if number not in present]
    return free[: max(0, missing)]
