"""pizarra commands: the table of all commands, for programs and for whoever writes one."""

from __future__ import annotations

from pizarra.cli.ask import ask
from pizarra.cli.declared import declared
from pizarra.cli.options import Json
from pizarra.cli.output import print_json, print_table, reporting_errors
from pizarra.cli.server_option import server_from_options
from pizarra.cli.words import _


@declared("commands")
def commands(as_json: Json = False) -> None:
    with reporting_errors(as_json=as_json):
        server = server_from_options()
    if server is not None:
        document = ask("commands", {}, as_json=as_json)
    else:  # also for somebody who is not root
        from pizarra.service.commands import table

        document = table.to_json()
    if as_json:
        print_json(document)
        return
    rows = [(one["name"], _(one["who"]), ", ".join(one["effects"])) for one in document["commands"]]
    print_table((_("command"), _("who"), _("effects")), rows)
