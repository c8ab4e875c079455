"""A libvirt machine as the source of a template: its disks as the machine itself reads them."""

from __future__ import annotations

from pathlib import Path

from pizarra.errors import BadInput, NotFound
from pizarra.model.definition import DiskDefinition
from pizarra.model.facts import Power
from pizarra.model.sentence import N_, Sentence
from pizarra.planner.domain_import import DiskImport, plan_import
from pizarra.service.context import Context
from pizarra.service.templates import MachineSource, Source
from pizarra.storage.images import image_info, snapshots_inside


def sources_of_domain(context: Context, name: str) -> tuple[list[Source], MachineSource]:
    """The disks of a machine that is off, in its own order, and the machine around them.

    Raises NotFound, BadInput, Unsupported.
    """
    plan = plan_import(name, _xml_of(context, name))
    paths = [_path(context, one.found) for one in plan.disks]
    sources = [_source(one, path) for one, path in zip(plan.disks, paths, strict=True)]
    snapshots = (_snapshots(one, path) for one, path in zip(plan.disks, paths, strict=True))
    machine = MachineSource(
        firmware=plan.firmware,
        tpm=plan.tpm,
        files=plan.files,
        changes=(*plan.changes, *filter(None, snapshots)),
    )
    return sources, machine


def _xml_of(context: Context, name: str) -> str:
    """The XML of a machine whose disks do not change. Raises NotFound, BadInput."""
    compute = context.host.compute
    domain = compute.find(name)
    if domain is None:
        raise NotFound(
            "There is no machine {name!r} in libvirt.", "See: virsh list --all", name=name
        )
    if domain.power is not Power.OFF:
        raise BadInput(
            "The machine {name} is {power}; its disks would change under the copy.",
            "Shut it down first: virsh shutdown {name}",
            name=name,
            power=domain.power,
        )
    if domain.has_saved_ram:
        raise BadInput(
            "The RAM of the machine {name} is saved: its disks are in the middle of its work.",
            "Start it and shut it down: virsh start {name}; or throw that RAM away: "
            "virsh managedsave-remove {name}",
            name=name,
        )
    return compute.xml(domain.uuid)


def _path(context: Context, disk: DiskDefinition) -> Path:
    if disk.type != "volume":
        return Path(disk.source)
    pool, _, name = disk.source.partition("/")
    return context.host.compute.volume_path(pool, name)


def _source(disk: DiskImport, path: Path) -> Source:
    image = image_info(path, disk.found.format)
    return Source(disk=disk.disk, image=image, hardware=disk.hardware)


def _snapshots(disk: DiskImport, path: Path) -> Sentence | None:
    n = snapshots_inside(path) if disk.found.format == "qcow2" else 0
    text = N_("the {n} snapshots inside its disk {disk} are left out")
    return Sentence(text, n=n, disk=disk.found.target) if n else None
