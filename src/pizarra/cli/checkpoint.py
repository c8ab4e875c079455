"""pizarra checkpoint save | restore | hand-out | list | delete | export."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from pizarra.cli.options import Classroom, Json, Seats, Wait, Yes, numbers
from pizarra.cli.output import confirm, out, print_json, print_table
from pizarra.cli.remote import checkpoint as there
from pizarra.cli.remote import list_of, remotely
from pizarra.cli.template_export import export_checkpoint
from pizarra.cli.verbs import finish, reader_context, sentence
from pizarra.cli.words import _
from pizarra.model.names import parse_seat_numbers
from pizarra.model.sizes import size_text
from pizarra.service import checkpoints as service

app = typer.Typer(help="Saved states of seats, by name.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The checkpoint's name.")]


@app.command()
@remotely(there(keys=("ram",)))
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
    with reader_context(as_json=as_json, wait_s=wait) as context:
        report = service.save(context, classroom, name, numbers(seats), ram=ram)
    one = "{n} of {total} machine saved in {s:.1f} s."
    many = "{n} of {total} machines saved in {s:.1f} s."
    finish(report, sentence(report, one, many), as_json=as_json)


@app.command()
@remotely(there("/restore"))
def restore(
    classroom: Classroom, name: Name, seats: Seats = None, wait: Wait = 0, as_json: Json = False
) -> None:
    """Put machines back to what was saved, and prove it. `pizarra undo` takes it back.

    Example: pizarra checkpoint restore net lesson-3
    """
    with reader_context(as_json=as_json, wait_s=wait) as context:
        report = service.restore(context, classroom, name, numbers(seats))
    one = "{n} of {total} machine restored in {s:.1f} s."
    many = "{n} of {total} machines restored in {s:.1f} s."
    finish(report, sentence(report, one, many), as_json=as_json)


@app.command("hand-out")
@remotely(there("/hand-out", keys=("source",)))
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
    with reader_context(as_json=as_json, wait_s=wait) as context:
        number = parse_seat_numbers(str(source))[0]
        report = service.hand_out(context, classroom, name, number, numbers(seats))
    one = "{n} of {total} machine has it after {s:.1f} s."
    many = "{n} of {total} machines have it after {s:.1f} s."
    finish(report, sentence(report, one, many), as_json=as_json)


@app.command("list")
@remotely(list_of("/classrooms/{classroom}/checkpoints"))
def list_(classroom: Classroom, as_json: Json = False) -> None:
    """The checkpoints of a classroom, the oldest first.

    Example: pizarra checkpoint list net
    """
    with reader_context(as_json=as_json) as context:
        found = service.list_checkpoints(context, classroom)
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
        out.print(text.format(classroom=classroom), markup=False)


@app.command()
def delete(
    classroom: Classroom, name: Name, seats: Seats = None, yes: Yes = False, as_json: Json = False
) -> None:
    """Forget a checkpoint; machines stay as they are.

    Example: pizarra checkpoint delete net lesson-3
    """
    with reader_context(as_json=as_json) as context:
        question = _("Delete the checkpoint {name} of {classroom} for good?")
        confirm(question.format(name=name, classroom=classroom), yes=yes)
        report = service.delete(context, classroom, name, numbers(seats))
    one = "Forgotten for {n} of {total} machine."
    many = "Forgotten for {n} of {total} machines."
    finish(report, sentence(report, one, many), as_json=as_json)


app.command("export")(export_checkpoint)
