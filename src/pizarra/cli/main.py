"""The command ``pizarra``: puts the commands together; the last resort for errors."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Annotated

import typer

from pizarra import __version__
from pizarra.cli import (
    adopt,
    checkpoint,
    classroom,
    guard,
    host,
    inspect,
    recover,
    report,
    serve,
    template,
    verbs,
)
from pizarra.cli.output import err, fail
from pizarra.cli.remote import SERVER, TOKEN
from pizarra.cli.words import _
from pizarra.errors import PizarraError
from pizarra.system.flight import FLIGHT

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(host.app, name="host")
app.add_typer(template.app, name="template")
app.add_typer(classroom.app, name="classroom")
app.add_typer(checkpoint.app, name="checkpoint")
_COMMANDS: tuple[Callable[..., None], ...] = (
    *verbs.COMMANDS,
    adopt.adopt,
    inspect.inspect,
    recover.recover,
    guard.guard,
    report.report,
    serve.serve,
)
for command in _COMMANDS:
    app.command()(command)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"pizarra {__version__}\n")
        raise typer.Exit


@app.callback()
def pizarra(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
    server: Annotated[
        str, typer.Option(envvar=SERVER, help="Ask this server's API, not this host.")
    ] = "",
    token: Annotated[str, typer.Option(envvar=TOKEN, help="What that server knows you by.")] = "",
) -> None:
    """KVM classrooms on LVM, put back to their original state in seconds.

    The main job: pizarra reset CLASSROOM
    """
    _ = version
    os.environ[SERVER], os.environ[TOKEN] = server, token


def run() -> None:
    """The entry point. An error that nobody foresaw is told with what came before it."""
    try:
        app()
    except PizarraError as error:
        try:
            fail(error, as_json="--json" in sys.argv)
        except typer.Exit as exit_:
            sys.exit(exit_.exit_code)
    except KeyboardInterrupt:
        err.print(_("pizarra: interrupted; `pizarra recover` puts right what was under way."))
        sys.exit(130)
    except Exception:  # noqa: BLE001 - the one place where nothing may pass
        traceback.print_exc()
        err.print(_("pizarra: this is a bug. What came before it:"), style="bold")
        for line in list(FLIGHT)[-15:]:
            err.print(f"  {line}", markup=False)
        err.print(_("pizarra: `pizarra report` puts all of it into one file."))
        sys.exit(70)
