"""A machine that somebody made, as a template: what its seats keep, what changes, what cannot be.

Pure: the disks are named here and opened by ``service/domain_import.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lxml import etree

from pizarra.compute.definition import parse_definition
from pizarra.compute.domain_edit import StateFiles, parse_domain, state_files_of
from pizarra.compute.domain_hardware import read_hardware, scsi_controllers
from pizarra.errors import BadInput, Unsupported
from pizarra.model.definition import Definition, DiskDefinition
from pizarra.model.hardware import BUSES, MACHINES, SCSI, Hardware
from pizarra.model.labels import Firmware
from pizarra.model.sentence import N_, Sentence
from pizarra.model.sizes import size_text

_DISKS_MAX = 26
_DRIVES = ("cdrom", "floppy")
_BUS_BY_NAME = {"hd": "ide", "sd": "scsi", "vd": "virtio"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskImport:
    """A disk to copy. ``found`` says where libvirt has it."""

    disk: str  # its name in the seats: vda, vdb
    found: DiskDefinition
    hardware: Hardware


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineImport:
    """A machine as a template, but for the contents of its disks."""

    disks: tuple[DiskImport, ...]
    firmware: Firmware
    tpm: bool
    files: StateFiles
    changes: tuple[Sentence, ...]  # what is otherwise in the seats


def plan_import(name: str, xml: str) -> MachineImport:
    """Raises BadInput, Unsupported for a machine whose seats would not boot as it does."""
    root, definition = parse_domain(xml), parse_definition(xml)
    if why := next(_refusals(root, definition), None):
        raise Unsupported(
            "The machine {name} cannot become a template: {why}.",
            "Change that in libvirt and import it again: virsh edit {name}",
            name=name,
            why=why,
        )
    disks = _disks(definition)
    if not disks:
        raise BadInput("The machine {name} has no disk that can be copied.", name=name)
    hardware, changes = _hardware(root, definition, disks)
    files = state_files_of(xml)
    return MachineImport(
        disks=tuple(
            DiskImport(disk=disk_target(index), found=one, hardware=its)
            for index, (one, its) in enumerate(zip(disks, hardware, strict=True))
        ),
        firmware=definition.firmware,
        tpm=bool(files.tpm),
        files=files,
        changes=(*changes, *_disk_changes(root), _size_change(definition)),
    )


def hardware_by_disk(xml: str, targets: Sequence[str]) -> dict[str, Hardware]:
    """Of the disks of a machine that is adopted: what a template of one of its checkpoints needs.

    Empty for a machine that cannot be a template.
    """
    root, definition = parse_domain(xml), parse_definition(xml)
    if next(_refusals(root, definition), None):
        return {}
    disks = [one for one in _disks(definition) if one.target in targets]
    hardware, _ = _hardware(root, definition, disks) if disks else ([], [])
    return {one.target: its for one, its in zip(disks, hardware, strict=True)}


def _hardware(
    root: etree._Element, definition: Definition, disks: Sequence[DiskDefinition]
) -> tuple[list[Hardware], list[Sentence]]:
    """Of each disk, the machine's with the first; and what cannot be kept."""
    found = read_hardware(root, definition.machine)
    controllers = scsi_controllers(root) or ["virtio-scsi"]
    scsi = controllers[0] if any(one.bus == "scsi" for one in disks) else "virtio-scsi"
    boot, order = _boot_disk(definition, disks)
    first = replace(found.hardware, bus=disks[0].bus, scsi=scsi, boot=boot)
    rest = [Hardware(bus=one.bus) for one in disks[1:]]
    return [first, *rest], [*order, *found.changes]


def disk_target(index: int) -> str:
    """``vda`` for the first."""
    return f"vd{chr(ord('a') + index)}"


def _disks(definition: Definition) -> list[DiskDefinition]:
    """All that hold a content, with the bus that libvirt gives to one that names none."""
    return [
        replace(one, bus=one.bus or _BUS_BY_NAME.get(one.target[:2], ""))
        for one in definition.disks
        if one.device not in _DRIVES
    ]


def _refusals(root: etree._Element, definition: Definition) -> Iterator[Sentence]:
    kind = root.find("os/type")
    arch = "" if kind is None else kind.get("arch", "x86_64")
    if kind is None or (kind.text or "").strip() != "hvm" or arch not in ("x86_64", "i686"):
        yield Sentence("it is no PC, but: {arch}", arch=arch or "?")
    if definition.machine not in MACHINES:
        yield Sentence("no seat is of the machine type {machine}", machine=definition.machine)
    if definition.kernel:
        text = N_("it boots the kernel {kernel} of this host, and not from its disk")
        yield Sentence(text, kernel=definition.kernel)
    if definition.loader and root.find("os/loader[@type='pflash']") is None:
        yield Sentence("no seat has its firmware {loader}", loader=definition.loader)
    if definition.tpm.startswith("emulator") and not definition.tpm.endswith(("emulator", "2.0")):
        yield Sentence("a seat's TPM is a 2.0, and not: {tpm}", tpm=definition.tpm)
    if root.find("devices/tpm/backend/encryption") is not None:
        yield Sentence("the state of its TPM is encrypted by libvirt")
    if root.find("os/nvram[@format='qcow2']") is not None:
        yield Sentence("its UEFI variables are a qcow2 file, which no seat has")
    yield from _disk_refusals(root, definition)


def _disk_refusals(root: etree._Element, definition: Definition) -> Iterator[Sentence]:
    disks = _disks(definition)
    if len(disks) > _DISKS_MAX:
        yield Sentence("it has {n} disks; a seat has {most} at most", n=len(disks), most=_DISKS_MAX)
    for one in disks:
        if one.device != "disk":
            text = N_("its disk {disk} is of the kind {kind}")
            yield Sentence(text, disk=one.target, kind=one.device)
        if one.bus not in BUSES:
            yield Sentence("its disk {disk} is on the bus {bus}", disk=one.target, bus=one.bus)
        if one.type not in ("file", "block", "volume") or not one.source:
            text = N_("its disk {disk} is of the type {type}: copy it to a file or volume first")
            yield Sentence(text, disk=one.target, type=one.type)
    yield from _element_refusals(root)
    models = scsi_controllers(root)
    if any(one.bus == "scsi" for one in disks) and (
        len(models) > 1 or not set(models) <= set(SCSI)
    ):
        yield Sentence("its SCSI controllers are {models}; a seat has one, of {known}",
                       models=", ".join(models), known=", ".join(SCSI))  # fmt: skip


def _element_refusals(root: etree._Element) -> Iterator[Sentence]:
    for disk in root.iterfind("devices/disk[@device='disk']"):
        target = disk.find("target")
        name = "" if target is None else target.get("dev", "")
        if disk.find("encryption") is not None or disk.find("source/encryption") is not None:
            yield Sentence("its disk {disk} is encrypted by libvirt", disk=name)
        block = disk.find("blockio")
        if block is not None and block.get("logical_block_size", "512") != "512":
            yield Sentence("its disk {disk} has sectors of {n} bytes", disk=name,
                           n=block.get("logical_block_size"))  # fmt: skip
        if disk.find("source/slices") is not None:
            yield Sentence("its disk {disk} is a part of a file", disk=name)


def _boot_disk(
    definition: Definition, disks: Sequence[DiskDefinition]
) -> tuple[str, list[Sentence]]:
    """The disk that it boots from, empty for the first; and what it would try before."""
    targets = [one.target for one in disks]
    tried = [(one.boot, one.target) for one in definition.disks if one.boot]
    tried += [(one.boot, "network") for one in definition.nics if one.boot]
    order = [target for _, target in sorted(tried)]
    if not order:
        return "", _no_longer(definition.boot[: _place(definition.boot, "hd")], targets[0])
    first = next((target for target in order if target in targets), targets[0])
    index = targets.index(first)
    before = order[: _place(order, first)]
    return disk_target(index) if index else "", _no_longer(before, first)


def _place(order: Sequence[str], kind: str) -> int:
    return order.index(kind) if kind in order else len(order)


def _no_longer(before: Sequence[str], disk: str) -> list[Sentence]:
    if not before:
        return []
    text = N_("it boots from {before} first; its seats boot from its disk {disk} only")
    return [Sentence(text, before=", ".join(before), disk=disk)]


def _disk_changes(root: etree._Element) -> Iterator[Sentence]:
    for disk in root.iterfind("devices/disk"):
        target, source = disk.find("target"), disk.find("source")
        name = "" if target is None else target.get("dev", "")
        if disk.get("device") in _DRIVES:
            if source is not None and source.attrib:
                yield Sentence("its drive {disk} with what is in it is left out", disk=name)
            continue
        for kind in ("serial", "wwn"):
            if told := disk.findtext(kind, "").strip():
                text = N_("its disk {disk} loses its number {serial}")
                yield Sentence(text, disk=name, serial=told)
        if disk.find("readonly") is not None:
            yield Sentence("its disk {disk} can be written to", disk=name)


def _size_change(definition: Definition) -> Sentence:
    text = N_("memory and processors are the classroom's; it had {memory} and {n}")
    return Sentence(text, memory=size_text(definition.memory_bytes), n=definition.vcpus)
