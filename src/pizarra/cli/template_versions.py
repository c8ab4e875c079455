"""pizarra template maintain | publish | discard | prune: versions, and how they come and go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from pizarra.cli.ask import ask
from pizarra.cli.declared import declared
from pizarra.cli.options import Json, Storage, Yes
from pizarra.cli.output import confirm, out, print_json
from pizarra.cli.words import _, ngettext, say

Name = Annotated[str, typer.Argument(metavar="NAME", help="The template's name.")]
Vg = Annotated[str, typer.Option(help="The volume group, when there are several.")]


@declared("template maintain")
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
    wish = {
        "template": name,
        "memory": memory,
        "vcpus": vcpus,
        "network": network,
        "disk": disk,
        "storage": storage,
        "vg": vg,
    }
    made = ask("template maintain", wish, as_json=as_json)
    if as_json:
        print_json(made)
        return
    machine, version = made["machine"], made["version"]
    text = _("The machine {machine} runs: what you change in it becomes v{version} of {name}.")
    out.print(text.format(machine=machine, version=version, name=name))
    text = _("Its screen: virt-viewer --attach {machine}; its serial port: virsh console {machine}")
    out.print(text.format(machine=machine))
    text = _(
        "Then: pizarra template publish {name}; or, for nothing: pizarra template discard {name}"
    )
    out.print(text.format(name=name))


@declared("template publish")
def publish(
    name: Name,
    warm: Annotated[
        bool,
        typer.Option("--warm", help="Classrooms made of it get warm baselines (classroom warm)."),
    ] = False,
    as_json: Json = False,
) -> None:
    template = ask("template publish", {"template": name, "warm": warm}, as_json=as_json)
    if as_json:
        print_json(template)
        return
    text = _("v{version} of {name} is the newest.")
    out.print(text.format(version=template["version"], name=name))
    following = f"pizarra classroom upgrade CLASSROOM --to {template['version']}"
    out.print(_("Next: {command}").format(command=following))
    if warm:
        text = _("Classrooms that are there already, after that: pizarra classroom warm CLASSROOM")
        out.print(text)


@declared("template discard")
def discard(name: Name, yes: Yes = False, as_json: Json = False) -> None:
    making = ask("template show", {"template": name}, as_json=as_json)["maintenance"]
    if making is not None:
        question = _("Throw away v{version} of {name}, which is being made?")
        confirm(question.format(version=making["version"], name=name), yes=yes)
    document = ask("template discard", {"template": name}, as_json=as_json)
    if as_json:
        print_json(document)
    else:
        text = _("v{version} of {name} was not made.")
        out.print(text.format(version=document["version"], name=name))


@declared("template prune")
def prune(
    name: Name, storage: Storage = None, vg: Vg = "", yes: Yes = False, as_json: Json = False
) -> None:
    wish = {"template": name, "storage": storage, "vg": vg}
    newest = ask("template show", wish, as_json=as_json)
    question = _("Remove every version of {name} before v{version} that nothing stands on?")
    confirm(question.format(name=name, version=newest["version"]), yes=yes)
    document = ask("template prune", wish, as_json=as_json)
    if as_json:
        print_json(document)
        return
    n = len(document["pruned"])
    text = ngettext("{n} version of {name} removed.", "{n} versions of {name} removed.", n)
    out.print(text.format(n=n, name=name))
    for one in document["kept"]:
        text = _("v{version} stays: {why}")
        out.print(text.format(version=one["version"], why=say(one["why"])))


COMMANDS: tuple[Callable[..., None], ...] = (maintain, publish, discard, prune)
