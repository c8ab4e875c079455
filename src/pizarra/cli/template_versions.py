"""pizarra template maintain | publish | discard | prune: versions, and how they come and go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from pizarra.cli.options import Json, Storage, Yes
from pizarra.cli.output import confirm, out, print_json
from pizarra.cli.verbs import reader_context
from pizarra.cli.words import _, ngettext, say
from pizarra.model.names import check_name
from pizarra.model.sizes import parse_size
from pizarra.planner import maintenance as plan
from pizarra.planner.maintenance import MaintenanceWish
from pizarra.service import maintenance as service
from pizarra.service import templates

Name = Annotated[str, typer.Argument(metavar="NAME", help="The template's name.")]
Vg = Annotated[str, typer.Option(help="The volume group, when there are several.")]


def maintain(
    name: Name,
    memory: Annotated[str, typer.Option(help="Memory of the machine.")] = "2G",
    vcpus: Annotated[int, typer.Option(help="Processors of the machine.")] = 2,
    network: Annotated[str, typer.Option(help="nat, isolated, none or bridge=NAME.")] = "nat",
    disk: Annotated[str, typer.Option(help="A larger first disk for the next version.")] = "",
    storage: Storage = None,
    vg: Vg = "",
    as_json: Json = False,
) -> None:
    """Start a writable machine of the newest version, to make the next one in it.

    Classrooms go on with the versions that there are. End with publish, or with discard.

    Example: pizarra template maintain debian --memory 4G
    """
    with reader_context(as_json=as_json) as context:
        check_name(name, "template")
        wish = MaintenanceWish(
            memory_bytes=parse_size(memory),
            vcpus=vcpus,
            network=network,
            disk_bytes=parse_size(disk) if disk else None,
        )
        made = service.begin(context, name, wish, kind=storage, place=vg)
    if as_json:
        print_json(templates.maintenance_json(made))
        return
    text = _("The machine {machine} runs: what you change in it becomes v{version} of {name}.")
    out.print(text.format(machine=made.name, version=made.version, name=name), markup=False)
    text = _("Its screen: virt-viewer --attach {machine}; its serial port: virsh console {machine}")
    out.print(text.format(machine=made.name), markup=False)
    text = _(
        "Then: pizarra template publish {name}; or, for nothing: pizarra template discard {name}"
    )
    out.print(text.format(name=name), markup=False)


def publish(
    name: Name,
    warm: Annotated[
        bool,
        typer.Option("--warm", help="Classrooms made of it get warm baselines (classroom warm)."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Shut the machine of a template's maintenance down, and make what it holds the next version.

    Example: pizarra template publish debian --warm
    """
    with reader_context(as_json=as_json) as context:
        template = service.publish(context, name, warm=warm)
    if as_json:
        print_json(templates.template_json(template))
        return
    text = _("v{version} of {name} is the newest.")
    out.print(text.format(version=template.version, name=name), markup=False)
    following = f"pizarra classroom upgrade CLASSROOM --to {template.version}"
    out.print(_("Next: {command}").format(command=following), markup=False)
    if warm:
        text = _("Classrooms that are there already, after that: pizarra classroom warm CLASSROOM")
        out.print(text, markup=False)


def discard(name: Name, yes: Yes = False, as_json: Json = False) -> None:
    """Throw away the version that is being made, with its machine.

    Example: pizarra template discard debian --yes
    """
    with reader_context(as_json=as_json) as context:
        check_name(name, "template")
        made = plan.find_maintenance(context.host.observe(), name)
        question = _("Throw away v{version} of {name}, which is being made?")
        confirm(question.format(version=made.version, name=name), yes=yes)
        service.discard(context, name)
    if as_json:
        print_json({"template": name, "version": made.version, "discarded": True})
    else:
        text = _("v{version} of {name} was not made.")
        out.print(text.format(version=made.version, name=name), markup=False)


def prune(
    name: Name, storage: Storage = None, vg: Vg = "", yes: Yes = False, as_json: Json = False
) -> None:
    """Remove the old versions of a template that nothing stands on. The newest stays.

    Example: pizarra template prune debian --yes
    """
    with reader_context(as_json=as_json) as context:
        check_name(name, "template")
        newest = context.host.observe().template(name, storage, vg)
        question = _("Remove every version of {name} before v{version} that nothing stands on?")
        confirm(question.format(name=name, version=newest.version), yes=yes)
        gone, stay = templates.prune(context, name, newest.kind, newest.place)
    if as_json:
        kept = [{"version": version, "why": str(why)} for version, why in sorted(stay.items())]
        print_json({"template": name, "pruned": [one.version for one in gone], "kept": kept})
        return
    text = ngettext("{n} version of {name} removed.", "{n} versions of {name} removed.", len(gone))
    out.print(text.format(n=len(gone), name=name), markup=False)
    for version, why in sorted(stay.items()):
        text = _("v{version} stays: {why}")
        out.print(text.format(version=version, why=say(why)), markup=False)


COMMANDS: tuple[Callable[..., None], ...] = (maintain, publish, discard, prune)
