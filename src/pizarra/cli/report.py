"""pizarra report: a bundle for whoever helps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pizarra.cli.declared import declared
from pizarra.cli.options import Json
from pizarra.cli.output import err, out, print_json, reporting_errors, showing_progress
from pizarra.cli.server_option import server_from_options
from pizarra.cli.words import _


@declared("report")
def report(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; must not be there.")
    ] = None,
    as_json: Json = False,
) -> None:

    def tell(what: str) -> None:
        if err.is_terminal:
            err.print(f"… {what}")

    with reporting_errors(as_json=as_json), showing_progress(quiet=True) as emit:
        from pizarra.service import report as service
        from pizarra.settings import read_settings

        target = output or service.default_target()
        server = server_from_options()
        if server is None:
            path = service.report(read_settings(), target, tell)
        else:
            path = server.download_report(target, emit)
    if as_json:
        print_json({"report": str(path), "bytes": path.stat().st_size})
    else:
        text = _("Written: {path}. It names your machines, volumes and commands; read it first.")
        out.print(text.format(path=path))
