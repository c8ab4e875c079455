"""pizarra template …"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from pizarra.cli import template_export, template_versions
from pizarra.cli.options import Json, Storage, Yes
from pizarra.cli.output import confirm, out, print_json, print_table
from pizarra.cli.remote import list_of, remotely
from pizarra.cli.verbs import reader_context
from pizarra.cli.words import _, ngettext, say
from pizarra.errors import BadInput
from pizarra.model.facts import Maintenance, Template
from pizarra.model.labels import Firmware
from pizarra.model.names import check_name
from pizarra.model.sizes import size_text
from pizarra.service import export, templates
from pizarra.service.context import Context
from pizarra.service.templates import MachineSource, Source

app = typer.Typer(no_args_is_help=True, help="Golden machines that seats are made of.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The template's name.")]
Version = Annotated[int, typer.Option(help="Which version.", min=0)]
Vg = Annotated[str, typer.Option(help="The volume group, when there are several.")]


@app.command("import")
def import_(
    name: Name,
    source: Annotated[
        Path | None,
        typer.Argument(
            help="A qcow2, raw, vmdk or vdi file, a logical volume, or what export wrote."
        ),
    ] = None,
    from_domain: Annotated[
        str, typer.Option(help="Take the disks of this libvirt machine, shut off, instead.")
    ] = "",
    firmware: Annotated[
        Firmware | None, typer.Option(help="What boots it; of a machine, as it says.")
    ] = None,
    tpm: Annotated[bool, typer.Option("--tpm", help="Give its seats an emulated TPM 2.0.")] = False,
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="A data disk of each seat, which resets leave alone: its size (10G), an image, "
            "or a disk of the machine (vdb).",
        ),
    ] = None,
    new_version: Annotated[
        bool, typer.Option("--new-version", help="The next version of a template that is there.")
    ] = False,
    storage: Storage = None,
    vg: Vg = "",
    as_json: Json = False,
) -> None:
    """Copy a machine's disks into a new template, or as its next version.

    Example: pizarra template import debian debian-12.qcow2 --vg vg_class
    """
    with reader_context(as_json=as_json) as context, TemporaryDirectory() as blanks:
        check_name(name, "template")
        sources, found = _sources(context, source, from_domain)
        for one in data or ():
            sources = templates.with_data(sources, one, Path(blanks))
        template = templates.import_template(
            context,
            name,
            sources,
            machine=replace(found, firmware=firmware or found.firmware, tpm=tpm or found.tpm),
            kind=storage,
            vg=vg,
            new_version=new_version,
        )
    _imported_told(template, as_json=as_json)


def _imported_told(template: Template, *, as_json: bool) -> None:
    if as_json:
        print_json(templates.template_json(template))
        return
    size = size_text(sum(volume.size_bytes for volume in template.volumes))
    text = _("Template {name} v{version} is ready on {kind} {place}: {size}.")
    where = {"kind": template.kind, "place": template.place}
    out.print(
        text.format(name=template.name, version=template.version, size=size, **where), markup=False
    )
    if template.version > 1:
        following = f"pizarra classroom upgrade CLASSROOM --to {template.version}"
        out.print(_("Next: {command}").format(command=following), markup=False)
        return
    out.print(_("Next: pizarra classroom create CLASSROOM --template {name} --seats 12")
              .format(name=template.name), markup=False)  # fmt: skip


def _sources(
    context: Context, source: Path | None, from_domain: str
) -> tuple[list[Source], MachineSource]:
    if (source is None) == (not from_domain):
        raise BadInput(
            "A template is made of one source.",
            "Name a file, a logical volume, or a machine with --from-domain.",
        )
    if source is None:
        return templates.sources_of_domain(context, from_domain)
    if export.is_manifest(source):
        return export.sources_of_manifest(context, source)
    return templates.source_of_file(source), MachineSource()


@app.command("list")
@remotely(list_of("/templates"))
def list_(as_json: Json = False) -> None:
    """All templates of this host.

    Example: pizarra template list
    """
    with reader_context(as_json=as_json) as context:
        facts = context.host.observe()
    found = facts.templates
    if as_json:
        print_json([templates.template_json(one, facts.maintenance(one.name)) for one in found])
    elif not found:
        out.print(_("There is no template yet. Import one: pizarra template import NAME FILE"))
    else:
        headings = (_("template"), _("version"), _("storage"), _("size"), _("seats"), "")
        rows = [_row(one) for one in found] + [_making_row(one) for one in facts.maintenances]
        print_table(headings, sorted(rows), right="lrlrrl")


def _row(template: Template) -> tuple[str, ...]:
    size = size_text(sum(volume.size_bytes for volume in template.volumes))
    where = f"{template.kind} {template.place}"
    version, seats = str(template.version), str(template.seats)
    return (template.name, version, where, size, seats, say(template.fault or ""))


def _making_row(one: Maintenance) -> tuple[str, ...]:
    size = size_text(sum(volume.size_bytes for volume in one.volumes))
    doing = _("being made in {machine}, which is {power}")
    note = doing.format(machine=one.name, power=_(str(one.power)))
    return (one.template, str(one.version), f"{one.kind} {one.place}", size, "", note)


@app.command()
def show(
    name: Name, version: Version = 0, storage: Storage = None, vg: Vg = "", as_json: Json = False
) -> None:
    """One version of a template, the newest when none is named, and its disks.

    Example: pizarra template show debian
    """
    with reader_context(as_json=as_json) as context:
        check_name(name, "template")
        facts = context.host.observe()
        found = facts.template(name, storage, vg, version)
    if as_json:
        print_json(templates.template_json(found, facts.maintenance(name)))
        return
    labels = found.volumes[0].labels
    out.print(f"{found.name} v{found.version}, {labels.firmware if labels else '?'}, "
              f"{found.kind} {found.place}", markup=False)  # fmt: skip
    text = ngettext("{n} seat stands on it.", "{n} seats stand on it.", found.seats)
    out.print(text.format(n=found.seats))
    rows = [
        (volume.labels.disk if volume.labels else "", volume.name, size_text(volume.size_bytes))
        for volume in found.volumes
    ]
    print_table((_("disk"), _("volume"), _("size")), rows, right="llr")


@app.command()
def delete(
    name: Name,
    version: Version = 0,
    storage: Storage = None,
    vg: Vg = "",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove a template that no seat stands on, or one version of it.

    Example: pizarra template delete debian --yes
    """
    with reader_context(as_json=as_json) as context:
        check_name(name, "template")
        template = context.host.observe().template(name, storage, vg, version)
        question = (
            _("Delete v{version} of {name}?") if version else _("Delete the template {name}?")
        )
        confirm(question.format(name=name, version=version), yes=yes)
        templates.delete(context, name, template.kind, template.place, version=version)
    if as_json:
        print_json({"template": name, "version": version or None, "deleted": True})
    elif version:
        out.print(_("v{version} of {name} is gone.").format(name=name, version=version))
    else:
        out.print(_("Template {name} is gone.").format(name=name))


for command in (*template_versions.COMMANDS, template_export.export):
    app.command()(command)
