"""pizarra checkpoint save | restore | hand-out | list | delete | export."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from pizarra.cli.ask import ask
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
    """Save the present state of machines under a name. It costs only what differs.

    Machines that run stand still for a moment, or longer with --ram: each is written to a file.

    Example: pizarra checkpoint save net lesson-3 1-8
    """
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
def restore(
    classroom: Classroom, name: Name, seats: Seats = None, wait: Wait = 0, as_json: Json = False
) -> None:
    """Put machines back to what was saved, and prove it. `pizarra undo` takes it back.

    Example: pizarra checkpoint restore net lesson-3
    """
    report = report_of(
        ask("checkpoint restore", {**_of(classroom, name, seats)}, as_json=as_json, wait_s=wait)
    )
    forms = P_(
        "{n} of {total} machine restored in {s:.1f} s.",
        "{n} of {total} machines restored in {s:.1f} s.",
    )
    finish(report, sentence(report, *forms), as_json=as_json)


@app.command("hand-out")
def hand_out(
    classroom: Classroom,
    name: Name,
    source: Annotated[int, typer.Option("--from", help="The number of the seat it is saved of.")],
    seats: Seats = None,
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    """Make what was saved of one machine the start of all.

    Addresses and names on the network stay each machine's own; so do host name and keys where
    `classroom identify` gave them and the disk is ext4. `pizarra undo` takes it back.

    Example: pizarra checkpoint hand-out net lesson-3 --from 1
    """
    wish = {**_of(classroom, name, seats), "source": source}
    report = report_of(ask("checkpoint hand-out", wish, as_json=as_json, wait_s=wait))
    forms = P_(
        "{n} of {total} machine has it after {s:.1f} s.",
        "{n} of {total} machines have it after {s:.1f} s.",
    )
    finish(report, sentence(report, *forms), as_json=as_json)


@app.command("list")
def list_(classroom: Classroom, as_json: Json = False) -> None:
    """The checkpoints of a classroom, the oldest first.

    Example: pizarra checkpoint list net
    """
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
def delete(
    classroom: Classroom, name: Name, seats: Seats = None, yes: Yes = False, as_json: Json = False
) -> None:
    """Forget a checkpoint; machines stay as they are.

    Example: pizarra checkpoint delete net lesson-3
    """
    question = _("Delete the checkpoint {name} of {classroom} for good?")
    confirm(question.format(name=name, classroom=classroom), yes=yes)
    report = report_of(ask("checkpoint delete", _of(classroom, name, seats), as_json=as_json))
    forms = P_("Forgotten for {n} of {total} machine.", "Forgotten for {n} of {total} machines.")
    finish(report, sentence(report, *forms), as_json=as_json)


app.command("export")(export_checkpoint)
