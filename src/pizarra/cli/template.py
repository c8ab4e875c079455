"""pizarra template …"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pizarra.cli import template_export, template_versions
from pizarra.cli.ask import ask
from pizarra.cli.declared import declared
from pizarra.cli.group import group
from pizarra.cli.options import Json, Storage, Yes
from pizarra.cli.output import (
    confirm,
    out,
    print_json,
    print_table,
    reporting_errors,
    showing_progress,
)
from pizarra.cli.server_option import server_from_options
from pizarra.cli.words import _, ngettext, say
from pizarra.model.labels import Firmware
from pizarra.model.sizes import size_text

app = group("Golden machines that seats are made of.", "template")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The template's name.")]
Version = Annotated[int, typer.Option(help="Which version.", min=0)]
Vg = Annotated[str, typer.Option(help="The volume group, when there are several.")]


@app.command("import")
@declared("template import")
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
    hardware: Annotated[
        str,
        typer.Option(
            help="What its guest was installed for, if that is not virtio: bus=sata:nic=e1000. "
            "Of a machine, as it is."
        ),
    ] = "",
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
    wish = {
        "template": name,
        "source": source,
        "from_domain": from_domain or None,
        "firmware": firmware,
        "tpm": tpm,
        "hardware": hardware,
        "data": data or None,
        "new_version": new_version,
        "storage": storage,
        "vg": vg,
    }
    if source is not None:
        with reporting_errors(as_json=as_json), showing_progress(quiet=as_json) as emit:
            server = server_from_options()
            if server is not None:
                wish |= {"source": None, "upload": server.upload(source, emit)}
    _show_imported(ask("template import", wish, as_json=as_json), as_json=as_json)


def _show_imported(template: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(template)
        return
    name, version = template["template"], template["version"]
    size = _size(template)
    text = _("Template {name} v{version} is ready on {kind} {place}: {size}.")
    where = {"kind": template["storage"], "place": template["place"]}
    out.print(text.format(name=name, version=version, size=size, **where))
    changes = template.get("changes", ())
    if changes:
        out.print(_("Its seats are not in all as the machine was:"))
    for line in changes:
        out.print(f"  {say(line)}")
    if version > 1:
        following = f"pizarra classroom upgrade CLASSROOM --to {version}"
        out.print(_("Next: {command}").format(command=following))
        return
    text = _("Next: pizarra classroom create CLASSROOM --template {name} --seats 12")
    out.print(text.format(name=name))


def _size(template: dict[str, Any]) -> str:
    return size_text(sum(disk["size_bytes"] for disk in template["disks"]))


@app.command("list")
@declared("template list")
def list_(as_json: Json = False) -> None:
    found = ask("template list", {}, as_json=as_json)
    if as_json:
        print_json(found)
    elif not found:
        out.print(_("There is no template yet. Import one: pizarra template import NAME FILE"))
    else:
        headings = (_("template"), _("version"), _("storage"), _("size"), _("seats"), "")
        making = {one["template"]: one["maintenance"] for one in found if one["maintenance"]}
        rows = [_row(one) for one in found] + [_making_row(one) for one in making.values()]
        print_table(headings, sorted(rows), right="lrlrrl")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    where = f"{one['storage']} {one['place']}"
    version, seats = str(one["version"]), str(one["seats"])
    return (one["template"], version, where, _size(one), seats, say(one["fault"] or ""))


def _making_row(one: dict[str, Any]) -> tuple[str, ...]:
    doing = _("being made in {machine}, which is {power}")
    note = doing.format(machine=one["machine"], power=_(one["power"]))
    where, size = f"{one['storage']} {one['place']}", size_text(one["size_bytes"])
    return (one["template"], str(one["version"]), where, size, "", note)


def _at(name: str, version: int, storage: Any, vg: str) -> dict[str, Any]:
    return {"template": name, "version": version, "storage": storage, "vg": vg}


@app.command()
@declared("template show")
def show(
    name: Name, version: Version = 0, storage: Storage = None, vg: Vg = "", as_json: Json = False
) -> None:
    found = ask("template show", _at(name, version, storage, vg), as_json=as_json)
    if as_json:
        print_json(found)
        return
    out.print(f"{found['template']} v{found['version']}, {found['firmware'] or '?'}, "
              f"{found['storage']} {found['place']}")  # fmt: skip
    text = ngettext("{n} seat stands on it.", "{n} seats stand on it.", found["seats"])
    out.print(text.format(n=found["seats"]))
    if found["hardware"]:
        told = ", ".join(f"{key} {value}" for key, value in found["hardware"].items())
        out.print(_("Its hardware: {told}").format(told=told))
    rows = [
        (disk["disk"] or "", disk["volume"], disk["bus"], size_text(disk["size_bytes"]))
        for disk in found["disks"]
    ]
    print_table((_("disk"), _("volume"), _("bus"), _("size")), rows, right="lllr")


@app.command()
@declared("template delete")
def delete(
    name: Name,
    version: Version = 0,
    storage: Storage = None,
    vg: Vg = "",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    wish = _at(name, version, storage, vg)
    ask("template show", wish, as_json=as_json)  # one that is not there needs no consent
    question = _("Delete v{version} of {name}?") if version else _("Delete the template {name}?")
    confirm(question.format(name=name, version=version), yes=yes)
    document = ask("template delete", wish, as_json=as_json)
    if as_json:
        print_json(document)
    elif version:
        out.print(_("v{version} of {name} is gone.").format(name=name, version=version))
    else:
        out.print(_("Template {name} is gone.").format(name=name))


for command in (*template_versions.COMMANDS, template_export.export):
    app.command()(command)
