"""pizarra classroom …"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pizarra.cli.ask import ask
from pizarra.cli.declared import declared
from pizarra.cli.documents import finish, report_of
from pizarra.cli.group import group
from pizarra.cli.options import Classroom, Json, Seats, Storage, Wait, Yes, check_seats
from pizarra.cli.output import confirm, err, out, print_json, print_table, reporting_errors
from pizarra.cli.words import _, ngettext, say
from pizarra.errors import BadInput
from pizarra.model.outcome import Outcome, Report
from pizarra.model.sentence import P_
from pizarra.model.sizes import MIB, parse_size, size_text
from pizarra.system.text_files import STDIN, read_text_file

app = group("Classrooms: N seats of one template.", "classroom")
WithData = Annotated[
    bool, typer.Option("--with-data", help="Remove the data disks of its seats too.")
]
User = Annotated[str, typer.Option(help="An account to be made on each machine.")]
PasswordFile = Annotated[
    Path | None, typer.Option(help="Its password: the first line of a file; - is stdin.")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The classroom's name.")]


@app.command()
@declared("classroom create")
def create(
    name: Name,
    template: Annotated[str, typer.Option(help="The template its seats are made of.")],
    seats: Annotated[int, typer.Option(help="How many seats.")],
    version: Annotated[
        int, typer.Option(help="Of the template; the newest when left out.", min=0)
    ] = 0,
    memory: Annotated[str, typer.Option(help="Memory of each machine.")] = "2G",
    vcpus: Annotated[int, typer.Option(help="Processors of each machine.")] = 2,
    network: Annotated[str, typer.Option(help="isolated, nat, none or bridge=NAME.")] = "isolated",
    disk: Annotated[str, typer.Option(help="A larger disk than the template's.")] = "",
    storage: Storage = None,
    vg: Annotated[str, typer.Option(help="The volume group, when there are several.")] = "",
    identify: Annotated[
        bool, typer.Option("--identify", help="Then do as `pizarra classroom identify`.")
    ] = False,
    warm: Annotated[
        bool, typer.Option("--warm", help="Then do as `pizarra classroom warm`.")
    ] = False,
    user: User = "",
    password_file: PasswordFile = None,
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    with reporting_errors(as_json=as_json):
        wish = {
            "classroom": name,
            "template": template,
            "seats": seats,
            "version": version,
            "memory_mib": -(-parse_size(memory) // MIB),
            "vcpus": vcpus,
            "network": network,
            "disk": disk,
            "storage": storage,
            "vg": vg,
            "identify": identify,
            "warm": warm,
            "user": user,
            "password_hash": _hash_of(password_file),
        }
    report = report_of(ask("classroom create", wish, as_json=as_json, wait_s=wait))
    _finish(
        report,
        P_(
            "{n} seat made in {s:.1f} s. Next: pizarra start {name}",
            "{n} seats made in {s:.1f} s. Next: pizarra start {name}",
        ),
        as_json=as_json,
    )


def _finish(report: Report, forms: tuple[str, str], *, as_json: bool) -> None:
    n = report.count(Outcome.DONE, Outcome.UNCHANGED)
    text = ngettext(*forms, n)
    finish(report, text.format(n=n, s=report.elapsed_s, name=report.classroom), as_json=as_json)


@app.command()
@declared("classroom apply")
def apply(
    file: Annotated[Path, typer.Argument(help="A classroom in YAML.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan only.")] = False,
    yes: Yes = False,
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    with reporting_errors(as_json=as_json):
        wish = _declared(file)
    plan = ask("classroom apply", wish, as_json=as_json, dry_run=True)
    if not as_json:
        for line in (*plan["changes"], *(f"= {say(kept)}" for kept in plan["kept"])):
            err.print(f"  {say(line)}")
    if dry_run:
        if as_json:
            print_json({key: value for key, value in plan.items() if key != "exists"})
        return
    if plan["exists"] and plan["changes"]:
        confirm(_("Change the classroom {name} so?").format(name=plan["classroom"]), yes=yes)
    report = report_of(ask("classroom apply", wish, as_json=as_json, wait_s=wait))
    _finish(report, P_("{n} seat is as declared.", "{n} seats are as declared."), as_json=as_json)


def _declared(file: Path) -> dict[str, str]:
    """A file's text, and the classroom that it is about. Raises BadInput."""
    from pizarra.service.apply import parse_spec

    text = read_text_file(file)
    name = parse_spec(text, str(file)).name
    return {"classroom": name, "file": text, "file_name": str(file)}


@app.command("list")
@declared("classroom list")
def list_(as_json: Json = False) -> None:
    found = ask("classroom list", {}, as_json=as_json)
    if as_json:
        print_json(found)
    elif not found:
        out.print(_("There is no classroom yet. Make one: pizarra classroom create --help"))
    else:
        headings = (_("classroom"), _("template"), _("storage"), _("seats"), _("on"), "")
        rows = [
            (
                one["classroom"],
                _made_of(one),
                f"{one['storage']} {one['place']}",
                str(len(one["seats"])),
                str(one["running"]),
                _("{n} in trouble").format(n=len(one["faults"])) if one["faults"] else "",
            )
            for one in found
        ]
        print_table(headings, rows, right="lllrrl")


def _made_of(found: dict[str, Any]) -> str:
    if not found["template"]:
        return _("adopted")
    made_of = f"{found['template']} v{found['version']}"
    if going := found["at_next_reset"]:
        text = ngettext("{n} at its next reset", "{n} at their next reset", going)
        made_of += f" ({text.format(n=going)})"
    return made_of


@app.command()
@declared("classroom show")
def show(name: Name, as_json: Json = False) -> None:
    found = ask("classroom show", {"classroom": name}, as_json=as_json)
    if as_json:
        print_json(found)
        return
    facts = (
        (_("template"), _made_of(found)),
        (_("storage"), f"{found['storage']} {found['place']}"),
        (_("machine"), f"{size_text(found['memory_bytes'])}, {found['vcpus']} vCPU"),
        (_("network"), found["network"]),
        (_("running"), f"{found['running']} / {len(found['seats'])}"),
        (_("with an identity"), f"{found['identities']} / {len(found['seats'])}"),
    )
    print_table((found["classroom"], ""), facts)
    rows = [(seat, found["addresses"].get(seat, "")) for seat in found["seats"]]
    print_table((_("seat"), _("address")), rows)
    for seat, fault in found["faults"].items():
        err.print(f"? {seat}: {say(fault)}")


@app.command()
@declared("classroom resize")
def resize(
    name: Name,
    seats: Annotated[int | None, typer.Option(help="How many seats it shall have.")] = None,
    disk: Annotated[str, typer.Option(help="How large every seat's disk shall be.")] = "",
    with_data: WithData = False,
    yes: Yes = False,
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    wish = {"classroom": name, "seats": seats, "disk": disk, "with_data": with_data}
    with reporting_errors(as_json=as_json):
        if seats is None and not disk:
            raise BadInput("Nothing is to be changed.", "Say --seats N or --disk SIZE.")
    present = ask("classroom show", {"classroom": name}, as_json=as_json)["seats"]
    if seats is not None and 0 < seats < len(present):
        question = _("Delete {seats} and what is on them?")
        confirm(question.format(seats=", ".join(present[seats:])), yes=yes)
    report = report_of(ask("classroom resize", wish, as_json=as_json, wait_s=wait))
    _finish(report, P_("{n} seat changed.", "{n} seats changed."), as_json=as_json)


@app.command()
@declared("classroom upgrade")
def upgrade(
    name: Classroom,
    seats: Seats = None,
    to: Annotated[
        int, typer.Option(help="The version; the newest when left out. It may be an older one.")
    ] = 0,
    yes: Yes = False,
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    wish = {"classroom": name, "seats": check_seats(seats), "version": to}
    plan = ask("classroom upgrade", wish, as_json=as_json, dry_run=True)
    if plan["when"] == "now":
        question = _("Make the machines of {name} anew at once, without what is on them?")
        confirm(question.format(name=name), yes=yes)
    report = report_of(ask("classroom upgrade", wish, as_json=as_json, wait_s=wait))
    n, version = report.count(Outcome.DONE, Outcome.UNCHANGED), report.extra["version"]
    if report.extra["when"] == "now":
        text = ngettext("{n} seat is on v{version}.", "{n} seats are on v{version}.", n)
    else:
        text = ngettext(
            "{n} seat is on v{version}, or will be at its next reset.",
            "{n} seats are on v{version}, or will be at their next reset.",
            n,
        )
    finish(report, text.format(n=n, version=version), as_json=as_json)


@app.command()
@declared("classroom warm")
def warm(
    name: Classroom,
    seats: Seats = None,
    settle: Annotated[
        float | None,
        typer.Option(help="Seconds at most to boot in; a guest agent may say sooner that it has."),
    ] = None,
    yes: Yes = False,
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    question = _("Reset the machines of {name} and boot each, to make its warm baseline?")
    confirm(question.format(name=name), yes=yes)
    wish = {"classroom": name, "seats": check_seats(seats), "settle": settle}
    report = report_of(ask("classroom warm", wish, as_json=as_json, wait_s=wait))
    _finish(
        report,
        P_("{n} machine can be reset warm.", "{n} machines can be reset warm."),
        as_json=as_json,
    )


@app.command()
@declared("classroom identify")
def identify(
    name: Classroom,
    seats: Seats = None,
    user: User = "",
    password_file: PasswordFile = None,
    limit: Annotated[
        float | None, typer.Option(help="Seconds at most that a machine may take.")
    ] = None,
    yes: Yes = False,
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    with reporting_errors(as_json=as_json):
        wish = {
            "classroom": name,
            "seats": check_seats(seats),
            "user": user,
            "password_hash": _hash_of(password_file),
            "limit": limit,
        }
    question = _("Reset the machines of {name} and boot each, to give it an identity?")
    confirm(question.format(name=name), yes=yes)
    report = report_of(ask("classroom identify", wish, as_json=as_json, wait_s=wait))
    _finish(
        report,
        P_("{n} machine has an identity.", "{n} machines have an identity."),
        as_json=as_json,
    )


def _hash_of(file: Path | None) -> str:
    if file is None:
        return ""
    text = read_text_file(STDIN if str(file) == "-" else file)
    from pizarra.service.identity import password_hash

    return password_hash(text.partition("\n")[0])


@app.command("swap-data")
@declared("classroom swap-data")
def swap_data(
    name: Classroom,
    one: Annotated[int, typer.Argument(help="A seat's number.")],
    other: Annotated[int, typer.Argument(help="Another's.")],
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    wish = {"classroom": name, "one": one, "other": other}
    report = report_of(ask("classroom swap-data", wish, as_json=as_json, wait_s=wait))
    _finish(
        report,
        P_("{n} machine has other data.", "{n} machines have each other's data."),
        as_json=as_json,
    )


@app.command()
@declared("classroom delete")
def delete(
    name: Classroom,
    with_data: WithData = False,
    yes: Yes = False,
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    present = ask("classroom show", {"classroom": name}, as_json=as_json)["seats"]
    question = _("Delete the classroom {name} and its {n} machines?")
    confirm(question.format(name=name, n=len(present)), yes=yes)
    wish = {"classroom": name, "with_data": with_data}
    report = report_of(ask("classroom delete", wish, as_json=as_json, wait_s=wait))
    _finish(report, P_("{n} machine deleted.", "{n} machines deleted."), as_json=as_json)
