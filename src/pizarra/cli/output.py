"""What a person sees: results on stdout, talk on stderr, progress on a terminal, JSON on demand."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from pizarra.cli.words import OUTCOME_SIGNS, _, say, translate
from pizarra.engine.events import Advanced, Began, Emit, Event, Noted, Settled
from pizarra.errors import PizarraError
from pizarra.model.outcome import SeatOutcome

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(document: Any) -> None:
    """The one document of ``--json``."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    # a file's name may be no text: \udcff is what Python makes of a byte, and JSON can say that
    sys.stdout.write(text.encode(errors="backslashreplace").decode() + "\n")


def fail(error: PizarraError, *, as_json: bool = False) -> NoReturn:
    """An error in the reader's words, its next step, its exit status."""
    if as_json:
        print_json({"error": type(error).__name__, "says": str(error), "hint": error.advice})
    err.print(f"pizarra: {translate(error.text, error.facts)}", style="bold", markup=False)
    if error.hint:
        err.print(f"  {translate(error.hint, error.facts)}", markup=False)
    raise typer.Exit(error.exit_status)


@contextmanager
def reporting_errors(*, as_json: bool = False) -> Iterator[None]:
    """Turn errors of ours into words; others are for ``cli.main``."""
    try:
        yield
    except PizarraError as error:
        fail(error, as_json=as_json)


@contextmanager
def showing_progress(*, quiet: bool = False) -> Iterator[Emit]:
    """A listener: bars on a terminal, plain lines otherwise, nothing but notes when quiet."""
    if quiet:
        yield _noted
    elif err.is_terminal:
        with _bars() as progress:
            yield _Bars(progress)
    else:
        yield _Lines()


def _noted(event: Event) -> None:
    if isinstance(event, Noted):
        err.print(translate(event.text, event.facts), markup=False)


def _bars() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeRemainingColumn(compact=True),
    )
    return Progress(*columns, console=err, transient=True)


class _Bars:
    """One bar for each piece of work; a line for each seat that settles."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.tasks: dict[str, tuple[TaskID, float, str]] = {}
        self.settled = 0

    def __call__(self, event: Event) -> None:
        match event:
            case Began(what=what, total=total, unit=unit):
                task = self.progress.add_task(_(what), total=total, amount="")
                self.tasks[what] = (task, total, unit)
                self.settled = 0
            case Advanced(what=what, done=done):
                task, total, unit = self.tasks[what]
                share = f"{100 * done / total:.0f} %" if total else ""
                self.progress.update(task, completed=done, amount=share)
            case Settled(outcome=outcome):
                self.progress.console.print(seat_line(outcome), markup=False)
                self.settled += 1
                for task, total, unit in self.tasks.values():
                    if unit == "seats":
                        amount = _("{n} of {total}").format(n=self.settled, total=int(total))
                        self.progress.update(task, completed=self.settled, amount=amount)
            case Noted():
                _noted(event)


class _Lines:
    """A line for each seat; every quarter of a copy."""

    def __init__(self) -> None:
        self.totals: dict[str, float] = {}
        self.told: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case Began(what=what, total=total):
                self.totals[what], self.told[what] = total, 0
            case Advanced(what=what, done=done):
                quarter = int(4 * done / self.totals[what]) if self.totals.get(what) else 0
                if quarter > self.told.get(what, 0):
                    self.told[what] = quarter
                    err.print(f"{_(what)}: {25 * quarter} %", markup=False)
            case Settled(outcome=outcome):
                err.print(seat_line(outcome), markup=False)
            case Noted():
                _noted(event)


def seat_line(outcome: SeatOutcome) -> str:
    """``✔ net-07  done       5 ms``, or with its reason; the sign is never the only sign."""
    sign = OUTCOME_SIGNS[outcome.outcome]
    shown = say(outcome.reason) if outcome.reason else _timings(outcome)
    return f"{sign} {outcome.seat:<12} {_(str(outcome.outcome)):<11} {shown}".rstrip()


def _timings(outcome: SeatOutcome) -> str:
    return "  ".join(f"{_(step)} {ms:.0f} ms" for step, ms in outcome.timings_ms.items())


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], right: str = "") -> Table:
    """A plain table that fits 80 columns; ``right`` has an ``r`` for each column to align so."""
    made = Table(box=None, pad_edge=False, header_style="bold", width=None)
    for index, heading in enumerate(headings):
        made.add_column(heading, justify="right" if right[index : index + 1] == "r" else "left",
                        overflow="fold")  # fmt: skip
    for row in rows:
        made.add_row(*row)
    return made


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], right: str = "") -> None:
    """On stdout, at the width of the terminal, 80 columns when there is none."""
    console = Console(highlight=False, width=None if out.is_terminal else 80, markup=False)
    console.print(table(headings, rows, right))


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal before something is destroyed; elsewhere ``--yes`` must say so."""
    if yes:
        return
    if not sys.stdin.isatty():
        err.print(_("pizarra: nothing was done: this needs --yes where nobody can be asked."))
        raise typer.Exit(2)
    err.print(f"{question} {_('[y/N]')} ", end="", markup=False)
    if sys.stdin.readline().strip().lower() not in ("y", "yes", "s", "si", "sí"):
        raise typer.Exit(1)
