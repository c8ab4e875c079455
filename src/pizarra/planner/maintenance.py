"""What a template's maintenance is made of: drafts of its disks, a machine, a network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Network

from pizarra.compute.interface import DomainSpec, NetworkSpec
from pizarra.errors import BadInput, Busy, NotFound, NotOurs
from pizarra.model.classroom_spec import check_machine, check_network
from pizarra.model.facts import Maintenance, Template, Volume
from pizarra.model.labels import FillingLabels, MaintenanceLabels, TemplateLabels
from pizarra.model.names import seat_mac
from pizarra.model.sizes import GIB, size_text
from pizarra.planner.host_facts import HostFacts
from pizarra.planner.provision import disk_spec, golden_name, network_spec, network_uuid
from pizarra.planner.template_facts import machine_name
from pizarra.storage.interface import NewVolume


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceWish:
    """The machine in which a template is changed. Raises BadInput for one that cannot be."""

    memory_bytes: int = 2 * GIB
    vcpus: int = 2
    network: str = "nat"  # updates come from somewhere
    disk_bytes: int | None = None  # a larger first disk for the next version

    def __post_init__(self) -> None:
        check_machine(self.memory_bytes, self.vcpus)
        check_network(self.network)


def room(template: str) -> str:
    """In the place of a classroom's name, where a machine has one; no classroom is called so."""
    return f"template.{template}"


def check_can_begin(facts: HostFacts, template: Template) -> None:
    """Raises Busy, NotOurs when the next version cannot be begun."""
    nobody_maintains(facts, template.name)
    if template.fault:
        raise NotOurs(
            "The template {name} cannot be used: {why}.", name=template.name, why=template.fault
        )
    name = machine_name(template.name)
    if any(domain.name == name for domain in facts.domains.values()):
        raise NotOurs(
            "There is a machine {name} already, and it is not ours.",
            "Rename it: virsh domrename {name} NEW",
            name=name,
        )


def nobody_maintains(facts: HostFacts, template: str) -> None:
    """Raises Busy, with the machine."""
    if present := facts.maintenance(template):
        raise Busy(
            "Version {version} of {template} is being made in the machine {machine}.",
            "End that first: pizarra template publish {template}; or throw it away: "
            "pizarra template discard {template}",
            version=present.version,
            template=template,
            machine=present.name,
        )


def find_maintenance(facts: HostFacts, template: str) -> Maintenance:
    """The maintenance that there must be. Raises NotFound."""
    present = facts.maintenance(template)
    if present is None:
        raise NotFound(
            "Nobody is making a version of {template}.",
            "Begin one: pizarra template maintain {template}",
            template=template,
        )
    return present


def next_version(facts: HostFacts, template: Template) -> int:
    """One more than any that there is or is being made."""
    return 1 + max(one.version for one in facts.versions(template.name, template.kind,
                                                         template.place))  # fmt: skip


def drafts(
    template: Template, version: int, wish: MaintenanceWish
) -> list[tuple[Volume, NewVolume]]:
    """For each golden disk, the volume that becomes its next version. Raises BadInput."""
    return [(golden, _draft(golden, version, wish)) for golden in template.volumes]


def _draft(golden: Volume[TemplateLabels], version: int, wish: MaintenanceWish) -> NewVolume:
    origin = golden.labels
    size_bytes = (wish.disk_bytes if origin.disk == "vda" else None) or golden.size_bytes
    if size_bytes < golden.size_bytes:
        raise BadInput(
            "The disk of the template {name} has {has}; {wished} would cut off its end.",
            "Leave out --disk, or choose at least {has}.",
            name=origin.template,
            has=size_text(golden.size_bytes),
            wished=size_text(size_bytes),
        )
    labels = MaintenanceLabels(
        template=origin.template,
        version=version,
        disk=origin.disk,
        firmware=origin.firmware,
        firmware_state=origin.firmware_state,
        hardware=origin.hardware,
        persistent=origin.persistent,
        memory_bytes=wish.memory_bytes,
        vcpus=wish.vcpus,
        network=wish.network,
    )
    name = golden_name(origin.template, version, origin.disk)
    return NewVolume(labels=FillingLabels(becoming=labels), size_bytes=size_bytes, name=name)


def labels_of_draft(labels: MaintenanceLabels, domain_uuid: str) -> MaintenanceLabels:
    """Of a draft when all are there: it belongs to the machine."""
    return replace(labels, domain=domain_uuid)


def labels_when_sealed(
    labels: TemplateLabels | MaintenanceLabels, *, warm: bool = False
) -> TemplateLabels:
    """Of a disk of a version that is sealed: nothing is left of its machine."""
    if isinstance(labels, MaintenanceLabels):
        return labels.as_template(warm=warm)
    return replace(labels, warm=warm)


def machine(maintenance: Maintenance) -> DomainSpec:
    """The machine, from what the drafts say: enough to make it again from disks alone."""
    labels = maintenance.labels
    return DomainSpec(
        uuid=maintenance.domain_uuid,
        name=maintenance.name,
        classroom=room(maintenance.template),
        number=0,
        template=maintenance.template,
        version=maintenance.version,
        memory_bytes=labels.memory_bytes,
        vcpus=labels.vcpus,
        firmware=labels.firmware,
        tpm="tpm" in labels.firmware_state,
        hardware=labels.hardware,
        disks=[disk_spec(volume) for volume in maintenance.volumes],
        network=labels.network,
        mac=mac_of(maintenance),
    )


def mac_of(maintenance: Maintenance) -> str:
    """The address of its machine's network card."""
    return seat_mac(maintenance.domain_uuid, room(maintenance.template), 0)


def network(maintenance: Maintenance, subnet: IPv4Network) -> NetworkSpec:
    """A network for the one machine."""
    macs = {0: mac_of(maintenance)}
    spec = network_spec(room(maintenance.template), maintenance.labels.network, subnet, macs)
    (lease,) = spec.leases
    return replace(spec, leases=[replace(lease, name=maintenance.name)])


def network_of(template: str) -> str:
    """The network's UUID."""
    return network_uuid(room(template))
