"""pizarra adopt: machines made by virt-install or virt-manager become seats."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from pizarra.cli.options import STORAGES, Json, Yes, parse_storage
from pizarra.cli.output import confirm, err, out, print_json, print_table
from pizarra.cli.verbs import finish, reader_context
from pizarra.cli.words import _, ngettext, say
from pizarra.model.facts import StorageKind
from pizarra.model.outcome import Outcome, Report
from pizarra.model.sizes import size_text
from pizarra.planner.adoption import Action, DiskPlan, MachinePlan
from pizarra.service import adopt as service


def adopt(
    domains: Annotated[
        list[str], typer.Argument(metavar="DOMAIN...", help="Machines by their libvirt names.")
    ],
    classroom: Annotated[
        str, typer.Option(help="The classroom that they become seats of.")
    ] = service.DEFAULT_CLASSROOM,
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
    as_json: Json = False,
) -> None:
    """Take over machines that are there already, under their own names.

    A disk that is a file is copied to a logical volume and compared; the file is kept. A disk
    that is a logical volume stays where it is. The machine must be shut off, and keeps all that
    its XML says. To let machines go again: pizarra classroom delete CLASSROOM.

    Example: pizarra adopt win11 debian12 --classroom office
    """
    with reader_context(as_json=as_json) as context:
        wish = service.Wish(classroom=classroom, kind=storage, vg=vg)
        if dry_run or (not as_json and not yes):
            plans = service.plan(context, domains, wish)
            _show(plans, classroom, dry_run=dry_run, as_json=as_json)
            if dry_run:
                return
            if sys.stdin.isatty() and any(plan.outcome is None for plan in plans):
                confirm(_("Adopt them so?"), yes=yes)
        report = service.adopt(context, domains, wish)
    finish(report, _sentence(report), as_json=as_json)


def _sentence(report: Report) -> str:
    n = report.count(Outcome.DONE, Outcome.UNCHANGED)
    text = ngettext(
        "{n} machine is a seat of {name}. Next: pizarra start {name}",
        "{n} machines are seats of {name}. Next: pizarra start {name}",
        n,
    )
    return text.format(n=n, name=report.classroom)


def _show(plans: Sequence[MachinePlan], classroom: str, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        seats = [plan.to_json() for plan in plans]
        document = {"classroom": classroom, "verb": "adopt", "dry_run": True, "seats": seats}
        print_json(document)
        return
    rows = [
        (plan.name, disk.labels.disk, _from(disk), f"{disk.place}/{disk.name}", str(disk.kind))
        for plan in plans
        for disk in plan.disks
    ]
    if rows:
        print_table((_("machine"), _("disk"), _("from"), _("to"), _("storage")), rows)
    for plan in plans if dry_run else ():  # else each is told as it settles
        if plan.outcome is not None:
            line = f"{plan.name}: {say(plan.outcome)}: {say(plan.reason or '')}"
            (out if plan.outcome is Outcome.UNCHANGED else err).print(line, markup=False)


def _from(disk: DiskPlan) -> str:
    if disk.action is Action.KEEP or disk.image is None:
        return _("(it stays)")
    return f"{disk.image.path} ({disk.image.format}, {size_text(disk.size_bytes)})"
