"""pizarra template export, checkpoint export."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from pizarra.cli.ask import ask
from pizarra.cli.declared import declared
from pizarra.cli.options import Classroom, Json, Storage
from pizarra.cli.output import out, print_json, reporting_errors
from pizarra.cli.server_option import server_from_options
from pizarra.cli.words import _
from pizarra.errors import BadInput
from pizarra.model.sizes import size_text


@declared("template export")
def export(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The template's name.")],
    folder: Annotated[Path, typer.Argument(help="A new folder for the files.")],
    version: Annotated[int, typer.Option(help="The newest when left out.", min=0)] = 0,
    storage: Storage = None,
    vg: Annotated[str, typer.Option(help="The volume group, when there are several.")] = "",
    as_json: Json = False,
) -> None:
    wish = {"template": name, "version": version, "storage": storage, "vg": vg}
    _export("template export", wish, name, folder, as_json=as_json)


@declared("checkpoint export")
def export_checkpoint(
    classroom: Classroom,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The checkpoint's name.")],
    folder: Annotated[Path, typer.Argument(help="A new folder for the files.")],
    source: Annotated[int, typer.Option("--from", help="The number of the seat it is saved of.")],
    as_json: Json = False,
) -> None:
    wish = {"classroom": classroom, "checkpoint": name, "source": source}
    _export("checkpoint export", wish, name, folder, as_json=as_json)


def _export(command: str, wish: dict[str, Any], name: str, folder: Path, *, as_json: bool) -> None:
    with reporting_errors(as_json=as_json):
        server = server_from_options()
    if server is None:
        manifest = ask(command, {**wish, "folder": folder}, as_json=as_json)
    else:
        with reporting_errors(as_json=as_json):
            _make_folder(folder)
        there = f"export-{secrets.token_hex(6)}"
        manifest = ask(command, {**wish, "folder": there}, as_json=as_json)
        with reporting_errors(as_json=as_json):
            for file in manifest["files"]:
                target = folder / file
                target.parent.mkdir(parents=True, exist_ok=True)
                server.download(f"{there}/{file}", target)
    document = {key: value for key, value in manifest.items() if key != "files"}
    if as_json:
        print_json(document | {"folder": str(folder.absolute())})
        return
    size = size_text(sum(disk["file_bytes"] for disk in manifest["disks"]))
    text = _("v{version} of {name} is in {folder}: {size}.")
    facts = {"version": manifest["version"], "name": name, "folder": folder, "size": size}
    out.print(text.format(**facts))
    following = f"pizarra template import {name} {folder}"
    out.print(_("On another host: {command}").format(command=following))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise BadInput("{path} is there already.", "Name another one.", path=folder) from None
    except OSError as error:
        raise BadInput(
            "{path} cannot be written: {why}.", path=folder, why=error.strerror or error
        ) from None
