"""Templates: import, list, show, delete."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from pizarra.compute.domain_edit import StateFiles
from pizarra.engine.events import Advanced, Began, Noted
from pizarra.errors import AlreadyExists, BadInput, PizarraError, Unsupported
from pizarra.model.facts import Maintenance, StorageKind, Template, Volume, labelled
from pizarra.model.hardware import USUAL, Hardware
from pizarra.model.labels import FillingLabels, Firmware, TemplateLabels, version_labels_of
from pizarra.model.names import check_name
from pizarra.model.sentence import N_, Sentence
from pizarra.model.sizes import parse_size, size_text
from pizarra.planner.domain_import import disk_target
from pizarra.planner.host_facts import HostFacts
from pizarra.planner.maintenance import nobody_maintains
from pizarra.planner.placement import fits, place_for
from pizarra.planner.provision import golden_name
from pizarra.service.context import Context
from pizarra.service.import_room import check_room, keeping_reserve
from pizarra.service.look import look_at_all
from pizarra.storage.images import ImageInfo, copy, image_info
from pizarra.storage.interface import NewVolume, Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One disk to import."""

    disk: str
    image: ImageInfo
    persistent: bool = False  # a data disk of each seat, which resets leave alone
    hardware: Hardware | None = None  # its bus; of the first disk, all of the machine's; the usual


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSource:
    """What belongs to a template beside its disks."""

    firmware: Firmware = Firmware.BIOS
    tpm: bool = False  # an emulated TPM 2.0
    files: StateFiles = field(default_factory=StateFiles)  # of its firmware and TPM; or blank
    changes: tuple[Sentence, ...] = ()  # what its seats have otherwise than it had

    @property
    def state(self) -> str:
        """The firmware state, as a label says it."""
        nvram = "nvram" if self.firmware is Firmware.UEFI else ""
        return "+".join(filter(None, (nvram, "tpm" if self.tpm else "")))


_PLAIN = MachineSource()


def import_template(
    context: Context,
    name: str,
    sources: list[Source],
    *,
    machine: MachineSource = _PLAIN,
    kind: StorageKind | None = None,
    vg: str = "",
    new_version: bool = False,
) -> Template:
    """Copy disks into a new template, or as its next version. What fails is reverted."""
    check_name(name, N_("template"))
    with context.claim([f"template:{name}"], N_("template import")):
        facts = context.host.observe()
        settings, storages = context.host.settings, context.host.storages
        kind, place = place_for(
            facts, kind, vg, settings.vg, storages.capabilities, storages.folders
        )
        version = _version(facts, name, kind, place, sources) if new_version else 1
        if not new_version:
            _check_new(facts, name, kind, place)
        storage = context.host.storages.at(kind, place)
        usual = _hardware(facts.template(name, kind, place)) if new_version else {}
        _check_data(storage, sources)
        _check_space(context, facts, storage, sources)
        made: list[tuple[Volume, TemplateLabels]] = []
        try:
            for source in sources:
                labels = TemplateLabels(
                    template=name,
                    version=version,
                    disk=source.disk,
                    firmware=machine.firmware,
                    persistent=source.persistent,
                    firmware_state="" if made else machine.state,
                    hardware=source.hardware or usual.get(source.disk, USUAL),
                )
                made.append((_fill(context, storage, labels, source), labels))
            if machine.state:
                context.host.states.save_from(machine.files, made[0][0])
        except BaseException:
            _take_back(context, storage, name)
            raise
        for volume, labels in made:
            storage.seal_golden(volume, labels)
    return context.host.observe().template(name, kind, place)


def _version(
    facts: HostFacts, name: str, kind: StorageKind, place: str, sources: list[Source]
) -> int:
    """The number of the next version, if seats can go to it from the present versions. Raises Busy,
    BadInput."""
    newest = facts.template(name, kind, place)
    nobody_maintains(facts, name)
    disks = [volume.labels.disk for volume in newest.volumes]
    if [source.disk for source in sources] != disks:
        raise BadInput(
            "Every version of {name} has the disks {disks}.",
            "Import it as a template of its own.",
            name=name,
            disks=", ".join(disks),
        )
    return newest.version + 1


def _hardware(newest: Template) -> dict[str, Hardware]:
    """The hardware of each disk, for an image that does not say it: its guest is that of the
    version before."""
    return {volume.labels.disk: volume.labels.hardware for volume in newest.volumes}


def _check_new(facts: HostFacts, name: str, kind: StorageKind, place: str) -> None:
    for one in facts.templates:
        if (one.name, one.kind, one.place) == (name, kind, place):
            raise AlreadyExists(
                "There is a template {name} on {kind} {place} already.",
                "Choose another name, or import it as the next version: --new-version",
                name=name,
                kind=kind,
                place=place,
            )


def _check_data(storage: Storage, sources: list[Source]) -> None:
    if any(one.persistent for one in sources) and not storage.capabilities.undo:
        raise Unsupported(
            "On {kind} a seat has no data disk: its store could overflow.",
            "Use --storage lvm-thin or qcow2.",
            kind=storage.kind,
        )
    hardware = sources[0].hardware
    boot = (hardware.boot if hardware else "") or sources[0].disk
    if sources[0].persistent or any(one.persistent for one in sources if one.disk == boot):
        raise BadInput("The disk that a template boots from is its system's, and goes back.")


def with_hardware(sources: list[Source], told: str) -> list[Source]:
    """The machine with the hardware that ``told`` names, in the form of labels. Its bus is that of
    each disk. Raises BadInput."""
    if not told:
        return sources
    try:
        first = (sources[0].hardware or USUAL).change(told)
    except ValueError as error:
        raise BadInput(
            "No seat can have the hardware {part!r}.",
            "Write keys and values such as bus=sata:nic=e1000; docs/formats-labels.md has all.",
            part=str(error),
        ) from None
    rest = [replace(one, hardware=Hardware(bus=first.bus)) for one in sources[1:]]
    return [replace(sources[0], hardware=first), *rest]


def with_data(sources: list[Source], told: str, folder: Path) -> list[Source]:
    """The disks with data disks added. ``told`` names a disk of these (``vdb``), an image, or the
    size of an empty disk, which is made in ``folder``. Raises BadInput."""
    if any(one.disk == told for one in sources):
        return [replace(one, persistent=one.persistent or one.disk == told) for one in sources]
    disk = disk_target(len(sources))
    path = Path(told)
    if not path.exists():
        path = folder / f"{disk}.img"
        with path.open("wb") as file:
            file.truncate(parse_size(told))
    first = sources[0].hardware
    hardware = Hardware(bus=first.bus) if first else None  # its system has a driver for that
    image = image_info(path)
    return [*sources, Source(disk=disk, image=image, persistent=True, hardware=hardware)]


def _check_space(
    context: Context, facts: HostFacts, storage: Storage, sources: list[Source]
) -> None:
    sparse = storage.capabilities.new_is_zero
    needs = sum(
        source.image.content_bytes if sparse else source.image.virtual_size_bytes
        for source in sources
    )
    for source in sources:
        what = Sentence("The disk of {name}", name=source.image.path.name)
        fits(facts.pools, storage.kind, storage.place, source.image.virtual_size_bytes, what)
    check_room(context, storage, needs, N_("the template"))
    shown = ", ".join(f"{one.image.format}, {size_text(one.image.virtual_size_bytes)}"
                      for one in sources)  # fmt: skip
    context.emit(
        Noted(
            text=N_("Importing ({shown}) to {kind} {place}."),
            facts={"shown": shown, "kind": str(storage.kind), "place": storage.place},
        )
    )


def _fill(context: Context, storage: Storage, labels: TemplateLabels, source: Source) -> Volume:
    new = NewVolume(
        labels=FillingLabels(becoming=labels),
        size_bytes=source.image.virtual_size_bytes,
        name=golden_name(labels.template, labels.version, labels.disk),
    )
    volume = storage.create_golden(new)
    size_bytes = source.image.virtual_size_bytes
    context.emit(Began(what=N_("import"), total=size_bytes, unit="bytes"))

    def progress(share: float) -> None:
        context.emit(Advanced(what="import", done=share * size_bytes))

    copy(
        source.image.path,
        source.image.format,
        volume.path,
        volume.source.format,
        target_is_zero=storage.capabilities.new_is_zero,
        progress=keeping_reserve(context, storage, progress),
        seen=source.image,
    )
    return volume


def _take_back(context: Context, storage: Storage, name: str) -> None:
    left = [
        volume
        for volume in labelled(storage.observe().volumes, FillingLabels)
        if (labels := version_labels_of(volume.labels)) and labels.template == name
    ]
    faults = storage.remove(left)
    for fault in faults.values():
        if fault is not None:
            context.emit(Noted(text=N_("Not removed: {why}"), facts={"why": fault}))


def source_of_file(path: Path) -> list[Source]:
    """A disk image or a block device. Raises BadInput."""
    return [Source(disk="vda", image=image_info(path))]


def list_templates(context: Context) -> tuple[Template, ...]:
    """All templates of this host."""
    return look_at_all(context).templates


def delete(
    context: Context,
    name: str,
    kind: StorageKind | None = None,
    place: str = "",
    *,
    version: int = 0,
) -> None:
    """Remove one version or all of a template, if no seat stands on it. Raises BadInput,
    NotFound."""
    check_name(name, N_("template"))
    with context.claim([f"template:{name}"], N_("template delete")):
        facts = context.host.observe()
        nobody_maintains(facts, name)
        one = [facts.template(name, kind, place, version)] if version else []
        versions = one or facts.versions(name, kind, place)
        for template in versions:
            _check_unused(template)
        faults = context.host.remove([v for template in versions for v in template.volumes])
        for fault in faults.values():
            if fault is not None:
                raise fault


def _check_unused(template: Template) -> None:
    if template.seats:
        raise BadInput(
            "{count} seats stand on the template {name}, version {version}.",
            "Delete their classrooms first, or upgrade and reset them: pizarra classroom list",
            count=template.seats,
            name=template.name,
            version=template.version,
        )


def prune(
    context: Context, name: str, kind: StorageKind | None = None, place: str = ""
) -> tuple[list[Template], dict[int, PizarraError | Sentence]]:
    """Remove all versions that nothing stands on, except the newest. Says why the others stay."""
    check_name(name, N_("template"))
    with context.claim([f"template:{name}"], N_("template prune")):
        facts = context.host.observe()
        nobody_maintains(facts, name)
        *older, newest = facts.versions(name, kind, place)
        gone: list[Template] = []
        stay: dict[int, PizarraError | Sentence] = {newest.version: Sentence("it is the newest")}
        for template in older:
            if template.seats:
                text = N_("{count} seats stand on it")
                stay[template.version] = Sentence(text, count=template.seats)
                continue
            faults = context.host.remove(list(template.volumes))
            if fault := next(filter(None, faults.values()), None):
                stay[template.version] = fault
            else:
                gone.append(template)
    return gone, stay


def template_json(template: Template, maintenance: Maintenance | None = None) -> dict[str, object]:
    """The form of ``template list`` and ``show``; one entry a version."""
    labels = template.labels
    return {
        "template": template.name,
        "version": template.version,
        "storage": str(template.kind),
        "place": template.place,
        "firmware": str(labels.firmware),
        "tpm": "tpm" in labels.firmware_state,
        "hardware": labels.hardware.to_dict(),
        "warm": template.warm,
        "seats": template.seats,
        "fault": template.fault,
        "maintenance": maintenance_json(maintenance) if maintenance else None,
        "disks": [
            {
                "disk": volume.labels.disk,
                "persistent": volume.labels.persistent,
                "bus": volume.labels.hardware.bus,
                "volume": volume.name,
                "size_bytes": volume.size_bytes,
                "used_bytes": _users(volume),
            }
            for volume in template.volumes
        ],
    }


def maintenance_json(maintenance: Maintenance) -> dict[str, object]:
    """The form of ``template maintain``: the version that is being made, and where."""
    return {
        "template": maintenance.template,
        "version": maintenance.version,
        "storage": str(maintenance.kind),
        "place": maintenance.place,
        "machine": maintenance.name,
        "size_bytes": sum(volume.size_bytes for volume in maintenance.volumes),
        "power": str(maintenance.power),
        "network": maintenance.labels.network,
        "fault": maintenance.fault,
    }


def _users(volume: Volume) -> int | None:
    return None if volume.used_share is None else int(volume.used_share * volume.size_bytes)
