"""pizarra serve: the agent of this host, the pages and the pump of jobs."""

from __future__ import annotations

import gc
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pizarra.cli.options import Json
from pizarra.cli.output import err, out, print_json, reporting_errors
from pizarra.cli.words import _
from pizarra.errors import BadInput, HostNotFit

if TYPE_CHECKING:
    from pizarra.settings import Settings


def serve(
    demonstration: Annotated[
        int, typer.Option(help="Without any machine: so many seats that are only remembered.")
    ] = 0,
    part: Annotated[
        str, typer.Option(help="Only a part, as a unit of systemd does: agent or pages.")
    ] = "all",
    first_code: Annotated[
        bool, typer.Option("--first-code", help="Show a code for the first visit, and end.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Serve the dashboard, the students' pages and the REST API of this host.

    Where there is no technician yet, --first-code shows a code that makes one: once, and within
    an hour, on the page that it names.

    Example: pizarra serve
    """

    with reporting_errors(as_json=as_json):
        server = _server()
        from pizarra.settings import read_settings

        if part not in list(server.Part) or (demonstration and part != server.Part.ALL):
            raise BadInput(
                "A part of the server is agent or pages; a demonstration has no parts.",
                "pizarra serve; or systemctl start pizarra",
            )
        settings = read_settings()
        if first_code:
            _show_code(*server.show_first_code(settings), as_json=as_json)
            return
        err.print(_("Starting the server …"))
        _serve(server, settings, part, demonstration, as_json=as_json)
        server.end_in_time(0)


def _server() -> Any:
    """The module of the server. Raises HostNotFit where its libraries are not installed."""
    try:
        import django as _django  # noqa: F401 - is it there?

        from pizarra.server import serve as server
    except ModuleNotFoundError as error:
        raise HostNotFit(
            "The server's libraries are not installed: {name}.",
            "Install them: pip install 'pizarra[server]'",
            name=error.name,
        ) from None
    return server


def _serve(
    server: Any, settings: Settings, part: str, demonstration: int, *, as_json: bool
) -> None:
    from pizarra.service.context import context_here

    told = partial(_tell, as_json)
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
        is_private = as_json or out.is_terminal  # else the journal may keep what we say
        server.serve(settings, host, told, is_private=is_private)


def _tell(as_json: bool, url: str, first_password: str, has_no_technician: bool) -> None:
    if as_json:
        print_json({"url": url, "technician": "technician", "password": first_password or None})
        sys.stdout.flush()  # whoever reads it waits for it, and we go on for days
        return
    out.print(_("The dashboard: {url}").format(url=url))
    if first_password:
        text = _("Sign in as technician, with the password {password}. It is said this once.")
        out.print(text.format(password=first_password))
    elif has_no_technician:
        out.print(_("There is no technician yet. As root: pizarra serve --first-code"))


def _show_code(page: str, code: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"page": page, "code": code})
        return
    out.print(_("Open {page} and give the code {code}").format(page=page, code=code))
    out.print(_("The code works once, within an hour, and while there is no technician."))
