"""start, stop, reset, undo, verify, status."""

from __future__ import annotations

from typing import Annotated

import typer

from pizarra.cli.ask import ask
from pizarra.cli.declared import declared
from pizarra.cli.documents import finish, report_of, sentence
from pizarra.cli.options import Classroom, Json, Seats, Wait, check_seats
from pizarra.cli.output import print_table, reporting_errors
from pizarra.cli.plan import show_plan
from pizarra.cli.words import _, ngettext, say
from pizarra.errors import BadInput
from pizarra.model.outcome import Mode, Outcome
from pizarra.model.policy import After
from pizarra.model.sentence import P_
from pizarra.model.sizes import size_text


@declared("start")
def start(classroom: Classroom, seats: Seats = None, wait: Wait = 0, as_json: Json = False) -> None:
    wish = {"classroom": classroom, "seats": check_seats(seats)}
    report = report_of(ask("start", wish, as_json=as_json, wait_s=wait))
    forms = P_(
        "{n} of {total} machine on in {s:.1f} s.",
        "{n} of {total} machines on in {s:.1f} s.",
    )
    finish(report, sentence(report, *forms), as_json=as_json)


@declared("stop")
def stop(
    classroom: Classroom,
    seats: Seats = None,
    grace: Annotated[
        float | None,
        typer.Option(help="Seconds that a guest may take to shut down; 0 switches off at once."),
    ] = None,
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    wish = {"classroom": classroom, "seats": check_seats(seats), "grace": grace}
    report = report_of(ask("stop", wish, as_json=as_json, wait_s=wait))
    forms = P_(
        "{n} of {total} machine off in {s:.1f} s.", "{n} of {total} machines off in {s:.1f} s."
    )
    finish(report, sentence(report, *forms), as_json=as_json)


@declared("reset")
def reset(
    classroom: Classroom,
    seats: Seats = None,
    mode: Annotated[
        Mode | None,
        typer.Option(
            help="cold: clean RAM. hot: machine and viewers stay, RAM is not cleared. "
            "warm: as it had booted (classroom warm)."
        ),
    ] = None,
    to_start: Annotated[bool, typer.Option("--start", help="Leave them running.")] = False,
    to_off: Annotated[bool, typer.Option("--off", help="Leave them off.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, do nothing.")
    ] = False,
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    with reporting_errors(as_json=as_json):
        after = _after(to_start, to_off)
    wish = {"classroom": classroom, "seats": check_seats(seats), "mode": mode, "after": after}
    if dry_run:
        show_plan(ask("reset", wish, as_json=as_json, dry_run=True), as_json=as_json)
        return
    report = report_of(ask("reset", wish, as_json=as_json, wait_s=wait))
    disks_s = float(report.extra.get("disks_ms", 0)) / 1000
    text = ngettext("{n} of {total} machine original in {s:.1f} s; disks took {disks:.2f} s.",
                    "{n} of {total} machines original in {s:.1f} s; disks took {disks:.2f} s.",
                    len(report.seats))  # fmt: skip
    well = report.count(Outcome.DONE, Outcome.UNCHANGED)
    sentence = text.format(n=well, total=len(report.seats), s=report.elapsed_s, disks=disks_s)
    finish(report, sentence, as_json=as_json)


def _after(to_start: bool, to_off: bool) -> After | None:
    if to_start and to_off:
        raise BadInput("--start and --off contradict each other.", "Leave one out.")
    return After.RUNNING if to_start else After.OFF if to_off else None


@declared("undo")
def undo(classroom: Classroom, seats: Seats = None, wait: Wait = 0, as_json: Json = False) -> None:
    wish = {"classroom": classroom, "seats": check_seats(seats)}
    report = report_of(ask("undo", wish, as_json=as_json, wait_s=wait))
    forms = P_(
        "{n} of {total} machine has its work back after {s:.1f} s.",
        "{n} of {total} machines have their work back after {s:.1f} s.",
    )
    finish(report, sentence(report, *forms), as_json=as_json)


@declared("verify")
def verify(
    classroom: Classroom,
    seats: Seats = None,
    deep: Annotated[bool, typer.Option("--deep", help="Read and compare all of the data.")] = False,
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    wish = {"classroom": classroom, "seats": check_seats(seats), "deep": deep}
    report = report_of(ask("verify", wish, as_json=as_json, wait_s=wait))
    finish(
        report,
        sentence(
            report,
            *P_("{n} of {total} machine is original.", "{n} of {total} machines are original."),
        ),
        as_json=as_json,
    )


@declared("status")
def status(classroom: Classroom, seats: Seats = None, as_json: Json = False) -> None:
    wish = {"classroom": classroom, "seats": check_seats(seats)}
    report = report_of(ask("status", wish, as_json=as_json))
    if not as_json:
        rows = [
            (
                one.seat,
                _(str(one.extra["power"])),
                _changed(one.extra["changed_bytes"]),
                size_text(int(one.extra["size_bytes"])),
                say(one.reason or ""),
            )
            for one in report.seats
        ]
        headings = (_("seat"), _("machine"), _("changed"), _("disk"), "")
        print_table(headings, rows, right="llrrl")
    original = sum(one.verified is True for one in report.seats)
    text = ngettext("{n} of {total} machine original.", "{n} of {total} machines original.",
                    len(report.seats))  # fmt: skip
    finish(report, text.format(n=original, total=len(report.seats)), as_json=as_json)


def _changed(changed_bytes: int | None) -> str:
    if changed_bytes is None:
        return "?"
    return size_text(changed_bytes) if changed_bytes else _("original")
