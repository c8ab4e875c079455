"""pizarra guard: what a timer runs each minute."""

from __future__ import annotations

from pizarra.cli.ask import ask
from pizarra.cli.declared import declared
from pizarra.cli.options import Json
from pizarra.cli.output import out, print_json, print_table
from pizarra.cli.words import _
from pizarra.model.sizes import size_text


@declared("guard")
def guard(as_json: Json = False) -> None:
    document = ask("guard", {}, as_json=as_json)
    if as_json:
        print_json(document)
        return
    if not out.is_terminal:
        return  # the timer's: the journal has what there was to tell, and a pool each minute is not
    rows = [
        (
            one["title"],
            size_text(one["free_bytes"]),
            size_text(one["size_bytes"]),
            "" if one["full_in_s"] is None else f"{one['full_in_s'] / 3600:.1f} h",
        )
        for one in document["pools"]
    ]
    print_table((_("pool"), _("free"), _("size"), _("full in")), rows, right="lrrr")
    if not rows:
        out.print(_("There is no pool yet."))
