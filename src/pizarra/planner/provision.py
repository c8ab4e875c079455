"""What a classroom is made of: volumes, machines, a network. The same wish gives the same plan."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from ipaddress import IPv4Interface, IPv4Network
from itertools import count

from pizarra.compute.addresses import choose_subnet, gateway_address, is_usable, seat_address
from pizarra.compute.interface import DiskSpec, DomainSpec, Lease, NetworkSpec
from pizarra.compute.network_xml import bridge_name, network_name
from pizarra.errors import AlreadyExists, BadInput, NotOurs
from pizarra.model.classroom_record import ClassroomRecord
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.facts import Classroom, Seat, StorageKind, Template, Volume
from pizarra.model.labels import MaintenanceLabels, SeatLabels, TemplateLabels
from pizarra.model.names import SEATS_MAX, seat_mac, seat_name, seat_uuid
from pizarra.model.sizes import size_text
from pizarra.model.taken_subnet import TakenSubnet
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


def choose_uuids(
    facts: HostFacts, classroom: str, numbers: Iterable[int], host: str, macs: Collection[str]
) -> dict[int, str]:
    """A UUID for the machine of each new seat: neither the UUID nor the MAC address that comes from
    it is anybody's. ``host`` is the host's identity, ``macs`` are the addresses that are taken.
    """
    taken = {*facts.domains, *macs}
    for room in facts.classrooms.values():
        for seat in room.seats:
            taken |= {seat.domain_uuid, mac_of(seat)}
    chosen = dict[int, str]()
    for number in numbers:
        tries = (seat_uuid(classroom, number, host=host, attempt=n) for n in count())
        its = next(u for u in tries if taken.isdisjoint({u, seat_mac(u, classroom, number)}))
        chosen[number] = its
        taken |= {its, seat_mac(its, classroom, number)}
    return chosen


def mac_of(seat: Seat) -> str:
    """The address of its network card, if it has one that we made."""
    return seat_mac(seat.domain_uuid, seat.classroom, seat.number)


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
    template: Template, spec: ClassroomSpec, uuids: Mapping[int, str]
) -> list[tuple[Volume, list[NewVolume]]]:
    """For each golden disk, the seats' volumes that stand on it. ``uuids``: of their machines, by
    number."""
    return [
        (golden, [_seat_volume(golden, spec, number, its) for number, its in uuids.items()])
        for golden in template.volumes
    ]


def _seat_volume(
    golden: Volume[TemplateLabels], spec: ClassroomSpec, number: int, domain_uuid: str
) -> NewVolume:
    origin = golden.labels
    labels = SeatLabels(
        classroom=spec.name,
        seat=number,
        disk=origin.disk,
        domain=domain_uuid,
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


def record_of(spec: ClassroomSpec, version: int, id_: str) -> ClassroomRecord:
    """What is said once for a classroom that is made as wished, of this version. ``id_`` is its
    own for good."""
    return ClassroomRecord(
        classroom=spec.name,
        id=id_,
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
        weight=record.policy.weight,
        nested=record.policy.nested,
        network=record.network,
        mac=mac_of(seat),
    )


def disk_spec(volume: Volume[SeatLabels] | Volume[MaintenanceLabels]) -> DiskSpec:
    """A disk of a machine."""
    labels = volume.labels
    return DiskSpec(source=volume.source, target=labels.disk, bus=labels.hardware.bus)


def subnet_of(classroom: str, gateways: Mapping[str, str]) -> IPv4Network | None:
    """Of its network, if that is there."""
    gateway = gateways.get(network_uuid(classroom))
    return IPv4Interface(gateway).network if gateway else None


def subnet_for(
    classroom: str,
    seats: int,
    present: IPv4Network | None,
    taken: Iterable[TakenSubnet],
    ranges: Sequence[IPv4Network] = (),
) -> IPv4Network:
    """The subnet of its network. The ``present`` one stays while the network is up, and as long as
    nobody else uses a part of it. ``seats`` is the highest number. Raises HostNotFit."""
    own = {bridge_name(classroom), network_name(classroom)}
    everything = list(taken)
    others = [one for one in everything if one.by not in own]
    if present is not None:
        is_up = any(one.by == bridge_name(classroom) for one in everything)
        if is_usable(present, seats, () if is_up else others):
            return present
    return choose_subnet(classroom, seats, others, ranges)


def network_spec(
    classroom: str, mode: str, subnet: IPv4Network, macs: Mapping[int, str]
) -> NetworkSpec:
    """Its network with a known address for every seat; ``macs``: of the seats, by number."""
    return NetworkSpec(
        classroom=classroom,
        uuid=network_uuid(classroom),
        mode=mode,
        leases=[_lease(classroom, number, mac, subnet) for number, mac in sorted(macs.items())],
        gateway=str(gateway_address(subnet)),
        prefix=subnet.prefixlen,
    )


def _lease(classroom: str, number: int, mac: str, subnet: IPv4Network) -> Lease:
    return Lease(
        name=seat_name(classroom, number), mac=mac, address=str(seat_address(subnet, number))
    )


def missing_numbers(classroom: Classroom, seats: int) -> list[int]:
    """The numbers of seats that a classroom lacks to have ``seats``: gaps first."""
    present = {seat.number for seat in classroom.seats}
    missing = seats - len(present)
    free = [number for number in range(1, SEATS_MAX + 1) if number not in present]
    return free[: max(0, missing)]
