"""pizarra inspect: look into one seat."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pizarra.cli.ask import ask, root_context
from pizarra.cli.declared import declared
from pizarra.cli.options import Json
from pizarra.cli.output import err, out, print_json, print_table
from pizarra.cli.words import _, ngettext, say
from pizarra.errors import BadInput
from pizarra.model.sizes import size_text
from pizarra.service import inspect as service
from pizarra.service.inspect import Where
from pizarra.service.views import Which
from pizarra.system.tar_stream import Copied


@declared("inspect")
def inspect(
    seat: Annotated[
        str, typer.Argument(metavar="SEAT", help="net-07, or an adopted machine's name.")
    ],
    attach: Annotated[
        Which | None, typer.Option(help="Give read-only access to this state, until --detach.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="End what --attach began.")] = False,
    copy: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="A file or folder to copy out; may be repeated."),
    ] = None,
    to: Annotated[Path | None, typer.Option(help="With --copy: the folder to copy to.")] = None,
    from_: Annotated[
        Which, typer.Option("--from", help="With --copy: the state to copy from.")
    ] = Which.PRESENT,
    disk: Annotated[str, typer.Option(help="vda, vdb ...; the first when left out.")] = "",
    partition: Annotated[
        int | None, typer.Option(help="The largest with a file system when left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    if sum((attach is not None, detach, bool(copy))) > 1:
        raise BadInput("These options do not go together.", "See: pizarra inspect --help")
    if bool(copy) != (to is not None):
        raise BadInput("--copy PATH and --to FOLDER go together.")
    if attach is None and not detach and not copy:
        _show(ask("inspect", {"seat": seat}, as_json=as_json), as_json=as_json)
        return
    with root_context(as_json=as_json) as context:
        if attach is not None:
            where = Where(which=attach, disk=disk, partition=partition)
            _show_attached(service.attach(context, seat, where), as_json=as_json)
        elif detach:
            _show_detached(seat, service.detach(context, seat), as_json=as_json)
        elif copy and to is not None:
            where = Where(which=from_, disk=disk, partition=partition)
            copied = service.copy(context, seat, copy, to, where)
            _show_copied(seat, copied, to, as_json=as_json)


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    of = f", {found['template']} v{found['version']}" if found["template"] else ""
    what = f"{found['seat']}: {_(found['power'])}{of}"
    out.print(what)
    rows = [
        (
            one["disk"],
            "?" if one["changed_bytes"] is None else size_text(one["changed_bytes"]),
            size_text(one["size_bytes"]),
            one["original"] or "",
            one["present"],
        )
        for one in found["disks"]
    ]
    headings = (_("disk"), _("changed"), _("size"), _("original"), _("present"))
    print_table(headings, rows, right="lrrll")
    for view in found["views"]:
        where = view["mount"] or view["device"] or ""
        out.print(f"{_(view['state'])} ({view['disk']}): {where}")
    for why in filter(None, (found["fault"], *(one["why"] for one in found["disks"]))):
        err.print(f"? {found['seat']}: {say(why)}")
    following = service.advice(found).format(seat=found["seat"])
    out.print(_("Next: {command}").format(command=following))


def _show_attached(view: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(view)
        return
    out.print(view["device"])
    text = _("Read-only, until: pizarra inspect {seat} --detach")
    err.print(text.format(seat=view["seat"]))
    err.print(_("A student made what is on it. Do not mount it here: a file system can be made to "
                "attack the kernel that reads it. --copy takes files out safely."))  # fmt: skip


def _show_detached(seat: str, views: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({"seat": seat, "detached": views})
    else:
        text = ngettext("{n} view of {seat} ended.", "{n} views of {seat} ended.", len(views))
        out.print(text.format(n=len(views), seat=seat))


def _show_copied(seat: str, copied: Copied, to: Path, *, as_json: bool) -> None:
    if as_json:
        document = {
            "seat": seat,
            "to": str(to.absolute()),
            "files": copied.files,
            "size_bytes": copied.size_bytes,
            "left_out": copied.left_out,
        }
        print_json(document)
        return
    text = ngettext("{n} file ({size}) copied to {to}.", "{n} files ({size}) copied to {to}.",
                    copied.files)  # fmt: skip
    size = size_text(copied.size_bytes)
    out.print(text.format(n=copied.files, size=size, to=to))
    for line in copied.left_out:
        err.print(_("left out: {what}").format(what=ascii(line)[1:-1]))
