"""template import, list, show, maintain, publish, discard, prune, delete, export."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import Field, model_validator

from pizarra.errors import BadInput, PizarraError
from pizarra.model.labels import Firmware
from pizarra.model.sentence import Sentence
from pizarra.model.sizes import parse_size
from pizarra.service.commands.arguments import (
    NoArguments,
    SizeText,
    Storage,
    TemplateName,
    Version,
    VolumeGroup,
)
from pizarra.service.commands.declaration import (
    Arguments,
    Document,
    Effect,
    Scope,
    Who,
    command,
)
from pizarra.service.commands.folders import check_is_root, export_folder, exported
from pizarra.service.context import Context

if TYPE_CHECKING:
    from pizarra.planner.maintenance import MaintenanceWish
    from pizarra.service.templates import MachineSource, Source

_ONE = "/templates/{template}"


class OfTemplate(Arguments):
    """One template."""

    template: TemplateName


class AtPlace(OfTemplate):
    """One template, and where it is when there are several of its name."""

    storage: Storage = Field(None, description="Where the template's disks are.")
    vg: VolumeGroup = ""


class OneVersion(AtPlace):
    """One version of a template."""

    version: Version = 0


class Import(AtPlace):
    """What becomes a template: one of a file of the host, an upload and a libvirt machine."""

    source: Path | None = Field(None, description="An image, a volume or an export's path.")
    upload: UUID | None = Field(None, description="An upload that is whole.")
    from_domain: str = Field("", max_length=200, description="A libvirt machine that is shut off.")
    firmware: Firmware | None = Field(None, description="What boots it; of a machine, as it says.")
    tpm: bool = Field(False, description="Give its seats an emulated TPM 2.0.")
    hardware: str = Field(
        "",
        max_length=300,
        description="What its guest was installed for, such as bus=sata:nic=e1000.",
    )
    data: list[str] = Field(
        default_factory=list,
        max_length=8,
        description="Data disks, which resets leave alone: a size, an image, a machine's disk.",
    )
    new_version: bool = Field(False, description="The next version of a template that is there.")

    @model_validator(mode="after")
    def _check(self) -> Import:
        if sum((self.source is not None, self.upload is not None, bool(self.from_domain))) != 1:
            raise BadInput(
                "A template is made of one source.",
                "Name a file, a logical volume, or a machine with --from-domain.",
            )
        return self


@command(
    "template import",
    who=Who.TECHNICIAN,
    scope=Scope.MANAGE,
    route="POST /templates",
    effects=(Effect.RUNS_AS_JOB, Effect.TAKES_UPLOAD),
)
def import_(context: Context, wish: Import) -> Document:
    """Copy a machine's disks into a new template, or as its next version.

    Example: pizarra template import debian debian-12.qcow2 --vg vg_class
    """
    from pizarra.service import templates, uploads
    from pizarra.service.templates import MachineSource

    if wish.upload is None:
        return _import(context, wish, *_sources(context, wish))
    path = uploads.path_of_upload(context.upload)
    try:
        return _import(context, wish, templates.source_of_file(path), MachineSource())
    except PizarraError as error:
        if "path" in error.facts:
            error.facts["path"] = Sentence("The upload")
        raise


def _sources(context: Context, wish: Import) -> tuple[list[Source], MachineSource]:
    from pizarra.service import domain_import, export, templates
    from pizarra.service.templates import MachineSource

    if wish.from_domain:
        return domain_import.sources_of_domain(context, wish.from_domain)
    assert wish.source is not None, "the model has one source"
    check_is_root(context, "source")
    if export.is_manifest(wish.source):
        return export.sources_of_manifest(context, wish.source)
    return templates.source_of_file(wish.source), MachineSource()


def _import(
    context: Context, wish: Import, sources: list[Source], found: MachineSource
) -> Document:
    from pizarra.service import templates

    sources = templates.with_hardware(sources, wish.hardware)
    with TemporaryDirectory() as blanks:
        for one in wish.data:
            if context.by is not None:
                parse_size(one)  # an image's path is for the host's terminal
            sources = templates.with_data(sources, one, Path(blanks))
        template = templates.import_template(
            context,
            wish.template,
            sources,
            machine=replace(
                found, firmware=wish.firmware or found.firmware, tpm=wish.tpm or found.tpm
            ),
            kind=wish.storage,
            vg=wish.vg,
            new_version=wish.new_version,
        )
    return {**templates.template_json(template), "changes": list(found.changes)}


@command("template list", who=Who.TEACHER, scope=Scope.READ, route="GET /templates")
def list_(context: Context, wish: NoArguments) -> Document:
    """All templates of this host.

    Example: pizarra template list
    """
    from pizarra.service import templates

    _ = wish
    facts = context.host.observe()
    return [templates.template_json(one, facts.maintenance(one.name)) for one in facts.templates]


@command("template show", who=Who.TEACHER, scope=Scope.READ, route="GET " + _ONE)
def show(context: Context, wish: OneVersion) -> Document:
    """One version of a template, the newest when none is named, and its disks.

    Example: pizarra template show debian
    """
    from pizarra.service import templates

    facts = context.host.observe()
    found = facts.template(wish.template, wish.storage, wish.vg, wish.version)
    return templates.template_json(found, facts.maintenance(wish.template))


class Maintain(AtPlace):
    """The machine in which the next version is made."""

    memory: SizeText = Field("2G", description="Memory of the machine.")
    vcpus: int = Field(2, description="Processors of the machine.")
    network: str = Field("nat", max_length=40, description="nat, isolated, none or bridge=NAME.")
    disk: SizeText = Field("", description="A larger first disk for the next version.")

    @property
    def machine(self) -> MaintenanceWish:
        """Raises BadInput."""

        from pizarra.planner.maintenance import MaintenanceWish

        return MaintenanceWish(
            memory_bytes=parse_size(self.memory),
            vcpus=self.vcpus,
            network=self.network,
            disk_bytes=parse_size(self.disk) if self.disk else None,
        )


@command(
    "template maintain",
    who=Who.TECHNICIAN,
    scope=Scope.MANAGE,
    route=f"POST {_ONE}/maintain",
    effects=(Effect.RUNS_AS_JOB,),
)
def maintain(context: Context, wish: Maintain) -> Document:
    """Start a writable machine of the newest version, to make the next one in it.

    Classrooms go on with the versions that there are. End with publish, or with discard.

    Example: pizarra template maintain debian --memory 4G
    """
    from pizarra.service import maintenance, templates

    made = maintenance.begin(context, wish.template, wish.machine, kind=wish.storage, place=wish.vg)
    return templates.maintenance_json(made)


class Publish(OfTemplate):
    """Whether classrooms made of the version get warm baselines."""

    warm: bool = Field(False, description="Classrooms made of it get warm baselines.")


@command(
    "template publish",
    who=Who.TECHNICIAN,
    scope=Scope.MANAGE,
    route=f"POST {_ONE}/publish",
    effects=(Effect.RUNS_AS_JOB,),
)
def publish(context: Context, wish: Publish) -> Document:
    """Shut the machine of a template's maintenance down, and make what it holds the next version.

    Example: pizarra template publish debian --warm
    """
    from pizarra.service import maintenance, templates

    return templates.template_json(maintenance.publish(context, wish.template, warm=wish.warm))


@command(
    "template discard",
    who=Who.TECHNICIAN,
    scope=Scope.MANAGE,
    route=f"POST {_ONE}/discard",
    effects=(Effect.RUNS_AS_JOB, Effect.DESTROYS),
)
def discard(context: Context, wish: OfTemplate) -> Document:
    """Throw away the version that is being made, with its machine.

    Example: pizarra template discard debian --yes
    """
    from pizarra.service import maintenance

    made = maintenance.discard(context, wish.template)
    return {"template": wish.template, "version": made.version, "discarded": True}


@command(
    "template prune",
    who=Who.TECHNICIAN,
    scope=Scope.MANAGE,
    route=f"POST {_ONE}/prune",
    effects=(Effect.RUNS_AS_JOB, Effect.DESTROYS),
)
def prune(context: Context, wish: AtPlace) -> Document:
    """Remove the old versions of a template that nothing stands on. The newest stays.

    Example: pizarra template prune debian --yes
    """
    from pizarra.service import templates

    newest = context.host.observe().template(wish.template, wish.storage, wish.vg)
    gone, stay = templates.prune(context, wish.template, newest.kind, newest.place)
    kept = [{"version": version, "why": why} for version, why in sorted(stay.items())]
    return {"template": wish.template, "pruned": [one.version for one in gone], "kept": kept}


@command(
    "template delete",
    who=Who.TECHNICIAN,
    scope=Scope.MANAGE,
    route="DELETE " + _ONE,
    effects=(Effect.RUNS_AS_JOB, Effect.DESTROYS),
)
def delete(context: Context, wish: OneVersion) -> Document:
    """Remove a template that no seat stands on, or one version of it.

    Example: pizarra template delete debian --yes
    """
    from pizarra.service import templates

    facts = context.host.observe()
    found = facts.template(wish.template, wish.storage, wish.vg, wish.version)
    templates.delete(context, wish.template, found.kind, found.place, version=wish.version)
    return {"template": wish.template, "version": wish.version or None, "deleted": True}


class Export(OneVersion):
    """Which version, and where to."""

    folder: Path = Field(description="A new folder; from elsewhere, the name of a new folder.")


@command(
    "template export",
    who=Who.TECHNICIAN,
    scope=Scope.MANAGE,
    route=f"POST {_ONE}/export",
    effects=(Effect.RUNS_AS_JOB,),
)
def export_(context: Context, wish: Export) -> Document:
    """Write a template for another host: a qcow2 file a disk, and a manifest with checksums.

    Classes may be reset meanwhile. There: pizarra template import NAME FOLDER

    Example: pizarra template export debian /mnt/usb/debian
    """
    from pizarra.service import export

    folder = export_folder(context, wish.folder)
    manifest = export.export_template(
        context, wish.template, folder, version=wish.version, kind=wish.storage, place=wish.vg
    )
    return exported(manifest.model_dump(), folder)
