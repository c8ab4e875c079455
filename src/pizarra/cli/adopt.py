"""pizarra adopt: machines made by virt-install or virt-manager become seats."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from pizarra.cli.ask import ask
from pizarra.cli.declared import declared
from pizarra.cli.documents import finish, report_of
from pizarra.cli.options import STORAGES, Json, Wait, Yes, parse_storage
from pizarra.cli.output import confirm, err, out, print_json, print_table
from pizarra.cli.words import _, ngettext, say
from pizarra.model.facts import StorageKind
from pizarra.model.outcome import Outcome, Report
from pizarra.model.sizes import size_text
from pizarra.planner.adoption import Action


@declared("adopt")
def adopt(
    domains: Annotated[
        list[str], typer.Argument(metavar="DOMAIN...", help="Machines by their libvirt names.")
    ],
    classroom: Annotated[
        str, typer.Option(help="The classroom that they become seats of.")
    ] = "adopted",
    storage: Annotated[
        StorageKind | None,
        typer.Option(
            parser=parse_storage,
            metavar="|".join(STORAGES),
            help="lvm-thin or lvm-thick, for disks that are files.",
        ),
    ] = None,
    vg: Annotated[str, typer.Option(help="The volume group, when there are several.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, do nothing.")
    ] = False,
    yes: Yes = False,
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    wish = {"domains": domains, "classroom": classroom, "storage": storage, "vg": vg}
    if dry_run or (not as_json and not yes):
        plan = ask("adopt", wish, as_json=as_json, dry_run=True)
        _show(plan, dry_run=dry_run, as_json=as_json)
        if dry_run:
            return
        if sys.stdin.isatty() and any(one["outcome"] is None for one in plan["seats"]):
            confirm(_("Adopt them so?"), yes=yes)
    report = report_of(ask("adopt", wish, as_json=as_json, wait_s=wait))
    finish(report, _sentence(report), as_json=as_json)


def _sentence(report: Report) -> str:
    n = report.count(Outcome.DONE, Outcome.UNCHANGED)
    text = ngettext(
        "{n} machine is a seat of {name}. Next: pizarra start {name}",
        "{n} machines are seats of {name}. Next: pizarra start {name}",
        n,
    )
    return text.format(n=n, name=report.classroom)


def _show(plan: Mapping[str, Any], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json(plan)
        return
    rows = [
        (seat["seat"], disk["disk"], _from(disk), disk["to"].removeprefix("/dev/"), disk["storage"])
        for seat in plan["seats"]
        for disk in seat["disks"]
    ]
    if rows:
        print_table((_("machine"), _("disk"), _("from"), _("to"), _("storage")), rows)
    for seat in plan["seats"] if dry_run else ():  # else each is told as it settles
        if seat["outcome"] is not None:
            line = f"{seat['seat']}: {say(seat['outcome'])}: {say(seat['reason'] or '')}"
            (out if seat["outcome"] == Outcome.UNCHANGED else err).print(line)


def _from(disk: Mapping[str, Any]) -> str:
    if disk["action"] == Action.KEEP or disk["from"] is None:
        return _("(it stays)")
    return f"{disk['from']} ({disk['format']}, {size_text(disk['size_bytes'])})"
