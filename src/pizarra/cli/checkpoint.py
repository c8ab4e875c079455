"""pizarra checkpoint save | restore | hand-out | list | delete | export."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from pizarra.cli.ask import ask
from pizarra.cli.declared import declared
from pizarra.cli.documents import finish, report_of, sentence
from pizarra.cli.group import group
from pizarra.cli.options import Classroom, Json, Seats, Wait, Yes, check_seats
from pizarra.cli.output import confirm, out, print_json, print_table
from pizarra.cli.template_export import export_checkpoint
from pizarra.cli.words import _
from pizarra.model.sentence import P_
from pizarra.model.sizes import size_text

app = group("Saved states of seats, by name.", "checkpoint")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The checkpoint's name.")]


def _of(classroom: str, name: str, seats: str | None) -> dict[str, str | None]:
    return {"classroom": classroom, "checkpoint": name, "seats": check_seats(seats)}


@app.command()
@declared("checkpoint save")
def save(
    classroom: Classroom,
    name: Name,
    seats: Seats = None,
    ram: Annotated[
        bool, typer.Option("--ram", help="With what is in the RAM of those that run.")
    ] = False,
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    report = report_of(
        ask(
            "checkpoint save",
            {**_of(classroom, name, seats), "ram": ram},
            as_json=as_json,
            wait_s=wait,
        )
    )
    forms = P_(
        "{n} of {total} machine saved in {s:.1f} s.", "{n} of {total} machines saved in {s:.1f} s."
    )
    finish(report, sentence(report, *forms), as_json=as_json)


@app.command()
@declared("checkpoint restore")
def restore(
    classroom: Classroom, name: Name, seats: Seats = None, wait: Wait = 0, as_json: Json = False
) -> None:
    report = report_of(
        ask("checkpoint restore", {**_of(classroom, name, seats)}, as_json=as_json, wait_s=wait)
    )
    forms = P_(
        "{n} of {total} machine restored in {s:.1f} s.",
        "{n} of {total} machines restored in {s:.1f} s.",
    )
    finish(report, sentence(report, *forms), as_json=as_json)


@app.command("hand-out")
@declared("checkpoint hand-out")
def hand_out(
    classroom: Classroom,
    name: Name,
    source: Annotated[int, typer.Option("--from", help="The number of the seat it is saved of.")],
    seats: Seats = None,
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    wish = {**_of(classroom, name, seats), "source": source}
    report = report_of(ask("checkpoint hand-out", wish, as_json=as_json, wait_s=wait))
    forms = P_(
        "{n} of {total} machine has it after {s:.1f} s.",
        "{n} of {total} machines have it after {s:.1f} s.",
    )
    finish(report, sentence(report, *forms), as_json=as_json)


@app.command("list")
@declared("checkpoint list")
def list_(classroom: Classroom, as_json: Json = False) -> None:
    found = ask("checkpoint list", {"classroom": classroom}, as_json=as_json)
    if as_json:
        print_json({"classroom": classroom, "checkpoints": found})
        return
    rows = [
        (
            one["checkpoint"],
            f"{datetime.fromtimestamp(one['saved']):%Y-%m-%d %H:%M}",
            str(len(one["seats"])),
            size_text(one["ram_bytes"]) if one["ram_bytes"] else "",
            "?" if one["differs_bytes"] is None else size_text(one["differs_bytes"]),
        )
        for one in found
    ]
    headings = (_("checkpoint"), _("saved"), _("seats"), _("RAM"), _("differs"))
    print_table(headings, rows, right="llrrr")
    if not found:
        text = _("None yet. Save one with: pizarra checkpoint save {classroom} NAME")
        out.print(text.format(classroom=classroom))


@app.command()
@declared("checkpoint delete")
def delete(
    classroom: Classroom, name: Name, seats: Seats = None, yes: Yes = False, as_json: Json = False
) -> None:
    question = _("Delete the checkpoint {name} of {classroom} for good?")
    confirm(question.format(name=name, classroom=classroom), yes=yes)
    report = report_of(ask("checkpoint delete", _of(classroom, name, seats), as_json=as_json))
    forms = P_("Forgotten for {n} of {total} machine.", "Forgotten for {n} of {total} machines.")
    finish(report, sentence(report, *forms), as_json=as_json)


app.command("export")(export_checkpoint)
