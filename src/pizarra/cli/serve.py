"""pizarra serve: the agent of this host, the pages and the pump of jobs."""

from __future__ import annotations

import gc
import sys
from typing import Annotated

import typer

from pizarra.cli.options import Json
from pizarra.cli.output import err, out, print_json, reporting_errors
from pizarra.cli.words import _
from pizarra.errors import BadInput, HostNotFit


def serve(
    demonstration: Annotated[
        int, typer.Option(help="Without any machine: so many seats that are only remembered.")
    ] = 0,
    part: Annotated[
        str, typer.Option(help="Only a part, as a unit of systemd does: agent or pages.")
    ] = "all",
    as_json: Json = False,
) -> None:
    """Serve the dashboard, the students' pages and the REST API of this host.

    Example: pizarra serve
    """

    def told(url: str, first_password: str) -> None:
        if as_json:
            print_json({"url": url, "technician": "technician", "password": first_password or None})
            sys.stdout.flush()  # whoever reads it waits for it, and we go on for days
            return
        out.print(_("The dashboard: {url}").format(url=url))
        if first_password:
            text = _("Sign in as technician, with the password {password}. It is said this once.")
            out.print(text.format(password=first_password))

    with reporting_errors(as_json=as_json):
        try:
            import django as _django  # noqa: F401 - is it there?

            from pizarra.server import serve as server
        except ModuleNotFoundError as error:
            raise HostNotFit(
                "The server's libraries are not installed: {name}.",
                "Install them: pip install 'pizarra[server]'",
                name=error.name,
            ) from None
        from pizarra.service.context import context_here
        from pizarra.settings import read_settings

        if part not in list(server.Part) or (demonstration and part != server.Part.ALL):
            raise BadInput(
                "A part of the server is agent or pages; a demonstration has no parts.",
                "pizarra serve; or systemctl start pizarra",
            )
        settings = read_settings()
        err.print(_("Starting the server …"))
        if part == server.Part.PAGES:
            server.serve_pages(settings, told)
            return
        if demonstration:
            host = server.demonstration_host(settings, demonstration)
        else:
            host = context_here(settings=settings).host
        gc.enable()  # all is imported, and this process goes on for days
        if part == server.Part.AGENT:
            server.serve_agent(settings, host)
        else:
            server.serve(settings, host, told)
