"""The documents of commands, as values. This host and a server give the same documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from pizarra.cli.output import err, out, print_json, print_table
from pizarra.cli.words import ngettext, say
from pizarra.model.outcome import Outcome, Report, SeatOutcome

_COLUMNS_MOST = 6


def report_of(document: Mapping[str, Any]) -> Report:
    """Parse the document of a verb over seats."""
    known = ("classroom", "verb", "mode", "elapsed_s", "seats")
    return Report(
        **{key: document[key] for key in known[:-1]},
        seats=tuple(outcome_of(one) for one in document["seats"]),
        extra={key: value for key, value in document.items() if key not in known},
    )


def outcome_of(document: Mapping[str, Any]) -> SeatOutcome:
    """Parse one seat of such a document, or of an event."""
    known = ("event", "seat", "outcome", "reason", "verified", "timings_ms")
    return SeatOutcome(
        seat=document["seat"],
        outcome=Outcome(document["outcome"]),
        reason=document.get("reason"),
        verified=document.get("verified"),
        timings_ms=document.get("timings_ms") or {},
        extra={key: value for key, value in document.items() if key not in known},
    )


def finish(report: Report, sentence: str, *, as_json: bool) -> None:
    """Print the result, and end with its exit status."""
    if as_json:
        print_json(report.to_json())
    else:
        out.print(sentence)
        troubled = report.count(Outcome.FAILED, Outcome.UNKNOWN, Outcome.SKIPPED)
        if troubled:
            text = ngettext("{n} machine needs a look.", "{n} machines need a look.", troubled)
            err.print(text.format(n=troubled), bold=True)
    raise typer.Exit(report.exit_status)


def sentence(report: Report, singular: str, plural: str) -> str:
    """How many of how many went well, and in what time."""
    well, total = report.count(Outcome.DONE, Outcome.UNCHANGED), len(report.seats)
    text = ngettext(singular, plural, total)
    return text.format(n=well, total=total, s=report.elapsed_s)


def show(document: Any, *, as_json: bool) -> None:
    """Print the document of a command that has no words of its own."""
    if as_json:
        print_json(document)
        return
    rows = document if isinstance(document, list) else [document]
    first = rows[0] if rows else {}
    keys = [key for key, value in first.items() if not isinstance(value, list | dict)]
    shown = keys[:_COLUMNS_MOST]
    print_table(shown, [[say(str(one.get(key, ""))) for key in shown] for one in rows])
