"""The command ``pizarra``: its groups and commands, and the last resort for errors."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer

from pizarra import __version__
from pizarra.cli.group import SETTINGS, TableGroup, command_of
from pizarra.cli.letters import print_any_text
from pizarra.cli.server_option import SERVER, TOKEN
from pizarra.errors import BadInput, Busy, PizarraError
from pizarra.system.flight import stop_keeping

# no plug-in of pydantic is ours, and looking for them takes as long as a command
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

_BUG = 70  # sysexits.h: EX_SOFTWARE
_NOTHING_TO_FIND = (None, 0, BadInput.exit_status, Busy.exit_status)  # how a command may end

# where each command is; a name with an app there is a group
_GROUPS = ("host", "template", "classroom", "checkpoint")
_MODULES = {
    "start": "verbs",
    "stop": "verbs",
    "reset": "verbs",
    "undo": "verbs",
    "verify": "verbs",
    "status": "verbs",
    "adopt": "adopt",
    "inspect": "inspect",
    "recover": "recover",
    "guard": "guard",
    "report": "report",
    "backup": "backup",
    "restore": "backup",
    "serve": "serve",
    "commands": "commands",
}


class _Pizarra(TableGroup):
    """Imports a command when it is called. What typer calls a command is its library's own type."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import the module of one command. A command without a module comes from the table."""
        _ = ctx
        return _load(cmd_name) or self.generate(cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of the help."""
        _ = ctx
        return [*_GROUPS, *_MODULES, *self.missing()]

    @property
    def commands(self) -> dict[str, Any]:
        """All commands, imported."""
        found = {name: _load(name) for name in (*_GROUPS, *_MODULES)}
        found |= {name: self.generate(name) for name in self.missing()}
        return {name: one for name, one in found.items() if one is not None}

    @commands.setter
    def commands(self, value: object) -> None:
        """Ignore the empty dictionary of the library."""

    def missing(self) -> list[str]:
        """Commands without a noun, or of a noun that has no group, which are in the table alone."""
        from pizarra.service.commands.table import all_commands

        names = (one.name for one in all_commands())
        return [name for name in names if " " not in name and name not in _MODULES]


def _load(name: str) -> Any:
    if name in _GROUPS:
        found = typer.main.get_command(import_module(f"pizarra.cli.{name}").app)
        found.name = name
        return found
    if name in _MODULES:
        module: Any = import_module(f"pizarra.cli.{_MODULES[name]}")
        return command_of(getattr(module, name), name)
    return None


app = typer.Typer(
    cls=_Pizarra,
    no_args_is_help=True,
    add_completion=False,
    context_settings=SETTINGS,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


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
    """The entry point."""
    gc.disable()  # nothing that imports make is garbage; ``ask`` and ``serve`` turn it on again
    print_any_text()
    status: object = _BUG
    try:
        _run_app()
    except SystemExit as end:
        status = end.code
        raise
    finally:
        gc.enable()
        stop_keeping(failed=status not in _NOTHING_TO_FIND)


def _run_app() -> None:
    """Run the command. A bug is printed with the last entries of the flight record."""
    try:
        app()
    except PizarraError as error:
        sys.exit(_fail(error))
    except KeyboardInterrupt:
        from pizarra.cli.output import err
        from pizarra.cli.words import _

        err.print(_("pizarra: interrupted; `pizarra recover` puts right what was under way."))
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - the one place where nothing may pass
        if fault := _refusal(error):
            sys.exit(_fail(fault))
        _show_bug()
        sys.exit(_BUG)


def _refusal(error: Exception) -> PizarraError | None:
    from pizarra.system.refusals import fault_of

    return fault_of(error) if isinstance(error, OSError) else None


def _fail(error: PizarraError) -> int:
    """Print an error of the arguments, which came before the command began. Returns the exit
    status."""
    from pizarra.cli.output import fail

    try:
        fail(error, as_json="--json" in sys.argv)
    except typer.Exit as exit_:
        return exit_.exit_code


def _show_bug() -> None:
    import traceback

    from pizarra.cli.output import err
    from pizarra.cli.words import _
    from pizarra.system.flight import FLIGHT

    traceback.print_exc()
    err.print(_("pizarra: this is a bug. What came before it:"), bold=True)
    for line in list(FLIGHT)[-15:]:
        err.print(f"  {line}")
    err.print(_("pizarra: `pizarra report` puts all of it into one file."))
