"""A plan of a reset on a terminal: this host's, or a server's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pizarra.cli.output import out, print_json, print_table
from pizarra.cli.words import _, language, say


def show_plan(plan: Mapping[str, Any], *, as_json: bool) -> None:
    """``plan`` as ``--dry-run --json`` has it; a server has put its sentences into languages."""
    if as_json:
        print_json(plan)
        return
    rows = [
        (
            one["seat"],
            ", ".join(_(str(step)) for step in one["steps"]) or _("nothing"),
            _said(one, "reason") or say(one["outcome"] or ""),
        )
        for one in plan["seats"]
    ]
    print_table((_("seat"), _("would do"), ""), rows)
    for why in dict.fromkeys(_said(one, "no_undo") for one in plan["seats"] if one["no_undo"]):
        out.print(_("This reset could not be undone: {why}.").format(why=why), markup=False)


def _said(one: Mapping[str, Any], name: str) -> str:
    there = one.get(f"{name}_in") or {}
    return str(there.get(language()) or say(one[name] or ""))
