"""What a person sees: results on stdout, talk on stderr, progress on a terminal, JSON on demand.

The library for bars is imported when there is a bar to draw: most commands print lines or a
document.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import zip_longest
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import typer

from pizarra.cli.words import OUTCOME_SIGNS, _, say, translate
from pizarra.engine.events import Advanced, Began, Emit, Event, Noted, Settled
from pizarra.errors import PizarraError
from pizarra.model.outcome import SeatOutcome
from pizarra.system.refusals import reporting_refusals

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_WIDTH_ELSEWHERE = 80  # of a table that no terminal shows
_GAP, _COLUMN_LEAST = 2, 8
NOBODY_READS = (errno.EIO, errno.EPIPE)  # a terminal that was closed, a pipe without a reader
_BOLD, _PLAIN = "\033[1m", "\033[0m"


class Printer:
    """Prints lines to one of the two streams, bold on a terminal."""

    def __init__(self, *, is_error: bool) -> None:
        self.is_error = is_error

    @property
    def stream(self) -> TextIO:
        """The stream of this moment; tests replace it."""
        return sys.stderr if self.is_error else sys.stdout

    @property
    def is_terminal(self) -> bool:
        """Whether the stream is a terminal."""
        return self.stream.isatty()

    def print(self, text: str, *, bold: bool = False, end: str = "\n") -> None:
        """Print one text. When nobody reads any more, the work goes on without."""
        if bold and self.is_terminal:
            text = f"{_BOLD}{text}{_PLAIN}"
        try:
            # a file's name may be no text: \udcff is what Python makes of a byte
            self.stream.write(text.encode(errors="backslashreplace").decode() + end)
            self.stream.flush()
        except OSError as error:
            abandon(self.stream)
            if not (self.is_error or error.errno in NOBODY_READS):  # a full disk lost results
                raise OSError(error.errno, error.strerror, "stdout") from None


def abandon(stream: TextIO) -> None:
    """What is written from now on goes nowhere: its terminal was closed, or its reader is gone."""
    with suppress(OSError, ValueError):
        fd = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(fd, stream.fileno())
        os.close(fd)


out = Printer(is_error=False)
err = Printer(is_error=True)


def print_json(document: Any) -> None:
    """The one document of ``--json``; where the stream knows few letters, others are escaped."""
    is_utf8 = (out.stream.encoding or "utf-8").lower().startswith("utf")
    out.print(json.dumps(document, indent=2, ensure_ascii=not is_utf8, default=str))


def fail(error: PizarraError, *, as_json: bool = False) -> NoReturn:
    """An error in the reader's words, its next step, its exit status."""
    if as_json:
        told = {"code": error.code, "says": str(error), "hint": error.advice}
        print_json({"error": told})
    err.print(f"pizarra: {translate(error.text, error.facts)}", bold=True)
    if error.hint:
        err.print(f"  {translate(error.hint, error.facts)}")
    raise typer.Exit(error.exit_status)


@contextmanager
def reporting_errors(*, as_json: bool = False) -> Iterator[None]:
    """Print errors of ours, and end with their exit status. Others are for ``cli.main``."""
    try:
        with reporting_refusals():
            yield
    except PizarraError as error:
        fail(error, as_json=as_json)


@contextmanager
def showing_progress(*, quiet: bool = False) -> Iterator[Emit]:
    """A listener: bars on a terminal, plain lines otherwise, nothing but notes when quiet."""
    if quiet:
        yield _print_note
    elif err.is_terminal:
        progress = _bars()
        _while_read(progress.start)
        try:
            bars = _Bars(progress)
            yield lambda event: _while_read(lambda: bars(event))
        finally:
            _while_read(progress.stop)
    else:
        yield _Lines()


def _while_read(draw: Callable[[], object]) -> None:
    """A terminal that is closed stops nothing."""
    try:
        draw()
    except OSError:
        abandon(sys.stderr)


def _print_note(event: Event) -> None:
    if isinstance(event, Noted):
        err.print(translate(event.text, event.facts))


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeRemainingColumn(compact=True),
    )
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    return Progress(*columns, console=console, transient=True)


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
            case Noted(text=text, facts=facts):
                self.progress.console.print(translate(text, facts), markup=False)


class _Lines:
    """A line for each seat; every quarter of a copy."""

    def __init__(self) -> None:
        self.totals: dict[str, float] = {}
        self.quarters: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case Began(what=what, total=total):
                self.totals[what], self.quarters[what] = total, 0
            case Advanced(what=what, done=done):
                quarter = int(4 * done / self.totals[what]) if self.totals.get(what) else 0
                if quarter > self.quarters.get(what, 0):
                    self.quarters[what] = quarter
                    err.print(f"{_(what)}: {25 * quarter} %")
            case Settled(outcome=outcome):
                err.print(seat_line(outcome))
            case Noted():
                _print_note(event)


def seat_line(outcome: SeatOutcome) -> str:
    """``✔ net-07  done       5 ms``, or with its reason; the sign is never the only sign."""
    sign = OUTCOME_SIGNS[outcome.outcome]
    shown = say(outcome.reason) if outcome.reason else _timings(outcome)
    return f"{sign} {outcome.seat:<12} {_(str(outcome.outcome)):<11} {shown}".rstrip()


def _timings(outcome: SeatOutcome) -> str:
    return "  ".join(f"{_(step)} {ms:.0f} ms" for step, ms in outcome.timings_ms.items())


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], right: str = "") -> None:
    """On stdout, at the width of the terminal, 80 columns when there is none.

    ``right`` has an ``r`` for each column that is aligned so. What does not fit goes on below, in
    the widest column.
    """
    width = shutil.get_terminal_size().columns if out.is_terminal else _WIDTH_ELSEWHERE
    for number, line in enumerate(table_lines(headings, rows, right, width)):
        out.print(line, bold=number == 0)


def table_lines(
    headings: Sequence[str], rows: Sequence[Sequence[str]], right: str, width: int
) -> list[str]:
    """The lines of a table, headings first; each as wide as ``width`` at most."""
    everything = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*everything, strict=True)]
    over = sum(widths) + _GAP * (len(widths) - 1) - width
    widest = widths.index(max(widths)) if widths else 0
    if over > 0:
        widths[widest] = max(_COLUMN_LEAST, widths[widest] - over)
    lines = []
    for row in everything:
        cells = [_folded(cell, size) for cell, size in zip(row, widths, strict=True)]
        for part in zip_longest(*cells, fillvalue=""):
            shown = [
                cell.rjust(size) if right[column : column + 1] == "r" else cell.ljust(size)
                for column, (cell, size) in enumerate(zip(part, widths, strict=True))
            ]
            lines.append((" " * _GAP).join(shown).rstrip())
    return lines


def _folded(text: str, width: int) -> list[str]:
    """The lines of a text, folded at spaces where there are some."""
    return wrap(text, width) or [""] if len(text) > width else [text]


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal before something is destroyed; elsewhere ``--yes`` must say so."""
    if yes:
        return
    if not sys.stdin.isatty():
        err.print(_("pizarra: nothing was done: this needs --yes where nobody can be asked."))
        raise typer.Exit(2)
    err.print(f"{question} {_('[y/N]')} ", end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes", "s", "si", "sí"):
        raise typer.Exit(1)
