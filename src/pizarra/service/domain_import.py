"""A libvirt machine as the source of a template: its disks as the machine itself reads them."""

from __future__ import annotations

from pathlib import Path

from pizarra.errors import BadInput, NotFound, Unsupported
from pizarra.model.definition import DiskDefinition
from pizarra.model.facts import Power
from pizarra.model.sentence import N_, Sentence
from pizarra.model.sizes import KIB
from pizarra.planner.domain_import import DiskImport, plan_import
from pizarra.service.context import Context
from pizarra.service.templates import MachineSource, Source
from pizarra.storage.images import image_info, snapshots_inside

_OLD_VARIABLES_BYTES = 128 * KIB  # OVMF_VARS.fd; OVMF_VARS_4M.fd has 528 KiB


def sources_of_domain(context: Context, name: str) -> tuple[list[Source], MachineSource]:
    """The disks of a machine that is off, in its own order, and the machine around them.

    Raises NotFound, BadInput, Unsupported.
    """
    plan = plan_import(name, _xml_of(context, name))
    _check_variables(name, plan.files.nvram)
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


def _check_variables(name: str, nvram: Path | None) -> None:
    """Raises Unsupported for UEFI variables that the firmware of seats does not open."""
    if nvram and nvram.is_file() and nvram.stat().st_size == _OLD_VARIABLES_BYTES:
        raise Unsupported(
            "The machine {name} cannot become a template: {why}.",
            "Leave only <os firmware='efi'> of its loader and nvram (virsh edit {name}), and let "
            "it make new variables: virsh start {name} --reset-nvram",
            name=name,
            why=N_("its UEFI variables are of the firmware of 2 MB, and seats have that of 4 MB"),
        )


def _xml_of(context: Context, name: str) -> str:
    """The XML of a machine that is off, so that its disks do not change. Raises NotFound,
    BadInput."""
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
