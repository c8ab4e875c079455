"""A plan of a reset on a terminal: this host's, or a server's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pizarra.cli.output import out, print_json, print_table
from pizarra.cli.words import _, say


def show_plan(plan: Mapping[str, Any], *, as_json: bool) -> None:
    """``plan`` as ``--dry-run --json`` has it."""
    if as_json:
        print_json(plan)
        return
    rows = [
        (
            one["seat"],
            ", ".join(_(str(step)) for step in one["steps"]) or _("nothing"),
            say(one["reason"] or one["outcome"] or ""),
        )
        for one in plan["seats"]
    ]
    print_table((_("seat"), _("would do"), ""), rows)
    for why in dict.fromkeys(say(one["no_undo"]) for one in plan["seats"] if one["no_undo"]):
        out.print(_("This reset could not be undone: {why}.").format(why=why))
