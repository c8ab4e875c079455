"""pizarra backup and restore: what of a host is not on its disks."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from pizarra.cli.ask import ask
from pizarra.cli.declared import declared
from pizarra.cli.options import Json, Wait, Yes
from pizarra.cli.output import confirm, out, print_json
from pizarra.cli.words import _
from pizarra.model.sizes import size_text


@declared("backup")
def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder, in one that is root's alone.")],
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    made = ask("backup", {"folder": folder.absolute()}, as_json=as_json, wait_s=wait)
    if as_json:
        print_json(made)
        return
    text = _("Saved in {folder}: {n} files, {size}. It has secrets; keep it closed.")
    facts = {"folder": made["backup"], "n": made["files"], "size": size_text(made["bytes"])}
    out.print(text.format(**facts))
    _tell_left_out(made)


@declared("restore")
def restore(
    folder: Annotated[Path, typer.Argument(help="A folder that pizarra backup wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Also on a host that has a state of its own.")
    ] = False,
    yes: Yes = False,
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    confirm(_("Put the backup {folder} in the place of what is here?").format(folder=folder),
            yes=yes)  # fmt: skip
    wish = {"folder": folder.absolute(), "replace": replace}
    done = ask("restore", wish, as_json=as_json, wait_s=wait)
    if as_json:
        print_json(done)
        return
    when = datetime.fromtimestamp(done["made_at"]).astimezone().isoformat(" ", "minutes")
    text = _("Restored: the backup of {name}, made {when}.")
    out.print(text.format(name=done["host_name"], when=when))
    for path in done["set_aside"]:
        out.print(_("What was here before is in {path}").format(path=path))
    _tell_left_out(done)
    out.print(_("Next, before anything else: {command}").format(command=done["next"]))


def _tell_left_out(document: dict[str, Any]) -> None:
    if document["left_out"]:
        text = _("The RAM of checkpoints is not in it ({n} files): their machines will start cold.")
        out.print(text.format(n=len(document["left_out"])))
