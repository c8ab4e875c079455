"""How the command line asks for a command of the table: of this host, or of a server elsewhere."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pizarra.cli.output import reporting_errors, showing_progress
from pizarra.cli.server_option import only_here, server_from_options, without_token

if TYPE_CHECKING:
    from pizarra.engine.events import Emit
    from pizarra.service.context import Context


def ask(
    name: str,
    arguments: Mapping[str, Any],
    *,
    as_json: bool,
    wait_s: float = 0,
    dry_run: bool = False,
) -> Any:
    """The document of a command, or its plan. Arguments that are None are left out.

    Progress and errors are shown as a person, or with ``as_json`` a program, reads them.
    """
    given = {key: value for key, value in arguments.items() if value is not None}
    with reporting_errors(as_json=as_json), showing_progress(quiet=as_json) as emit:
        server = server_from_options()
        # what follows imports all that a command needs, which a usage error should not wait for
        from pizarra.service.commands.table import find_command

        command = find_command(name)
        if server is not None:
            return server.ask(command, given, emit, dry_run=dry_run)
        return command(_context_here(emit, wait_s), given, dry_run=dry_run)


@contextmanager
def root_context(*, as_json: bool) -> Iterator[Context]:
    """For what only the terminal of the host can do: paths and devices of this machine."""
    with reporting_errors(as_json=as_json), showing_progress(quiet=as_json) as emit:
        only_here()
        yield _context_here(emit, 0)


def _context_here(emit: Emit, wait_s: float) -> Context:
    from pizarra.service.context import context_here
    from pizarra.system.flight import keep_on_disk

    context = context_here(emit, wait_s=wait_s)
    gc.enable()  # all is imported
    settings = context.host.settings
    title = " ".join(without_token(sys.argv))
    keep_on_disk(settings.flight_folder, title, settings.flight_days)
    return context
