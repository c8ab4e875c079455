"""start, stop, reset, undo, verify, status."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from pizarra.cli.options import Classroom, Json, Seats, Wait, numbers
from pizarra.cli.output import err, out, print_json, print_table, reporting_errors, showing_progress
from pizarra.cli.plan import show_plan
from pizarra.cli.remote import only_here, remotely, without_token
from pizarra.cli.remote import status as status_there
from pizarra.cli.remote import verb as there
from pizarra.cli.words import _, ngettext, say
from pizarra.errors import BadInput
from pizarra.model.outcome import Mode, Outcome, Report
from pizarra.model.policy import After
from pizarra.model.sizes import size_text
from pizarra.service import undo as undo_service
from pizarra.service import verbs
from pizarra.service.context import Context, context_here
from pizarra.system.flight import keep_on_disk


@contextmanager
def reader_context(*, as_json: bool, wait_s: float = 0) -> Iterator[Context]:
    """A context whose progress and errors a person can read."""
    with reporting_errors(as_json=as_json), showing_progress(quiet=as_json) as emit:
        only_here()
        keep_on_disk(" ".join(without_token(sys.argv)))
        yield context_here(emit, wait_s=wait_s)


def finish(report: Report, sentence: str, *, as_json: bool) -> None:
    """The result, and the exit status that goes with it."""
    if as_json:
        print_json(report.to_json())
    else:
        out.print(sentence, markup=False)
        troubled = report.count(Outcome.FAILED, Outcome.UNKNOWN, Outcome.SKIPPED)
        if troubled:
            text = ngettext("{n} machine needs a look.", "{n} machines need a look.", troubled)
            err.print(text.format(n=troubled), style="bold", markup=False)
    raise typer.Exit(report.exit_status)


def sentence(report: Report, singular: str, plural: str) -> str:
    """How many of how many went well, and in what time."""
    well, total = report.count(Outcome.DONE, Outcome.UNCHANGED), len(report.seats)
    text = ngettext(singular, plural, total)
    return text.format(n=well, total=total, s=report.elapsed_s)


@remotely(there("start"))
def start(classroom: Classroom, seats: Seats = None, wait: Wait = 0, as_json: Json = False) -> None:
    """Switch machines on, so many at a time.

    Example: pizarra start net 1-8
    """
    with reader_context(as_json=as_json, wait_s=wait) as context:
        report = verbs.start(context, classroom, numbers(seats))
    one, many = (
        "{n} of {total} machine on in {s:.1f} s.",
        "{n} of {total} machines on in {s:.1f} s.",
    )
    finish(report, sentence(report, one, many), as_json=as_json)


@remotely(there("stop", "grace"))
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
    """Shut machines down; switch off those that do not listen.

    Example: pizarra stop net --grace 10
    """
    with reader_context(as_json=as_json, wait_s=wait) as context:
        report = verbs.stop(context, classroom, numbers(seats), grace_s=grace)
    one = "{n} of {total} machine off in {s:.1f} s."
    many = "{n} of {total} machines off in {s:.1f} s."
    finish(report, sentence(report, one, many), as_json=as_json)


@remotely(there("reset", "mode"))
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
    """Put machines back to their original state, and prove it.

    Example: pizarra reset net 1-8,11 --mode hot
    """
    with reader_context(as_json=as_json, wait_s=wait) as context:
        after = _after(to_start, to_off)
        if dry_run:
            plan = verbs.reset_plan(context, classroom, numbers(seats), mode=mode, after=after)
            show_plan(plan.to_json(), as_json=as_json)
            return
        report = verbs.reset(context, classroom, numbers(seats), mode=mode, after=after)
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


@remotely(there("undo"))
def undo(classroom: Classroom, seats: Seats = None, wait: Wait = 0, as_json: Json = False) -> None:
    """Take the last reset back: machines have the work on them again.

    Example: pizarra undo net 3
    """
    with reader_context(as_json=as_json, wait_s=wait) as context:
        report = undo_service.undo(context, classroom, numbers(seats))
    one = "{n} of {total} machine has its work back after {s:.1f} s."
    many = "{n} of {total} machines have their work back after {s:.1f} s."
    finish(report, sentence(report, one, many), as_json=as_json)


@remotely(there("verify", "deep"))
def verify(
    classroom: Classroom,
    seats: Seats = None,
    deep: Annotated[bool, typer.Option("--deep", help="Read and compare all of the data.")] = False,
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    """Prove that machines are in their original state.

    Example: pizarra verify net --deep
    """
    with reader_context(as_json=as_json, wait_s=wait) as context:
        report = verbs.verify(context, classroom, numbers(seats), deep=deep)
    finish(report, sentence(report, "{n} of {total} machine is original.",
                             "{n} of {total} machines are original."), as_json=as_json)  # fmt: skip


@remotely(status_there)
def status(classroom: Classroom, seats: Seats = None, as_json: Json = False) -> None:
    """What each machine does, and how much of it has changed.

    Example: pizarra status net
    """
    with reader_context(as_json=as_json) as context:
        report = verbs.status(context, classroom, numbers(seats))
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


COMMANDS: tuple[Callable[..., None], ...] = (start, stop, reset, undo, verify, status)
