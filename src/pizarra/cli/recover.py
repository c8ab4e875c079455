"""pizarra recover: what a host runs after a crash."""

from __future__ import annotations

import typer

from pizarra.cli.ask import ask
from pizarra.cli.declared import declared
from pizarra.cli.documents import report_of
from pizarra.cli.options import Json, Wait
from pizarra.cli.output import out, print_json
from pizarra.cli.words import ngettext
from pizarra.model.outcome import Outcome


@declared("recover")
def recover(wait: Wait = 0, as_json: Json = False) -> None:
    document = ask("recover", {}, as_json=as_json, wait_s=wait)
    reports = [report_of(one) for one in document["classrooms"]]
    if as_json:
        print_json(document)
    else:
        mended = sum(report.count(Outcome.DONE) for report in reports)
        total = sum(len(report.seats) for report in reports)
        text = ngettext("{n} of {total} machine mended.", "{n} of {total} machines mended.", total)
        out.print(text.format(n=mended, total=total))
    raise typer.Exit(max((report.exit_status for report in reports), default=0))
