"""pizarra template export, checkpoint export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pizarra.cli.options import Classroom, Json, Storage
from pizarra.cli.output import out, print_json
from pizarra.cli.verbs import reader_context
from pizarra.cli.words import _
from pizarra.model.names import parse_seat_numbers
from pizarra.model.sizes import size_text
from pizarra.service import export as service


def export(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The template's name.")],
    folder: Annotated[Path, typer.Argument(help="A new folder for the files.")],
    version: Annotated[int, typer.Option(help="The newest when left out.", min=0)] = 0,
    storage: Storage = None,
    vg: Annotated[str, typer.Option(help="The volume group, when there are several.")] = "",
    as_json: Json = False,
) -> None:
    """Write a template for another host: a qcow2 file a disk, and a manifest with checksums.

    Classes may be reset meanwhile. There: pizarra template import NAME FOLDER

    Example: pizarra template export debian /mnt/usb/debian
    """
    with reader_context(as_json=as_json) as context:
        manifest = service.export_template(
            context, name, folder, version=version, kind=storage, place=vg
        )
    _told(manifest, name, folder, as_json=as_json)


def export_checkpoint(
    classroom: Classroom,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The checkpoint's name.")],
    folder: Annotated[Path, typer.Argument(help="A new folder for the files.")],
    source: Annotated[int, typer.Option("--from", help="The number of the seat it is saved of.")],
    as_json: Json = False,
) -> None:
    """Write what was saved of one machine, as a template for this host or another.

    Without RAM, and without data disks. Then: pizarra template import NAME FOLDER

    Example: pizarra checkpoint export net lesson-3 /mnt/usb/lesson-3 --from 1
    """
    with reader_context(as_json=as_json) as context:
        number = parse_seat_numbers(str(source))[0]
        manifest = service.export_checkpoint(context, classroom, name, number, folder)
    _told(manifest, name, folder, as_json=as_json)


def _told(manifest: service.Manifest, name: str, folder: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(manifest.model_dump() | {"folder": str(folder.absolute())})
        return
    size = size_text(sum(disk.file_bytes for disk in manifest.disks))
    text = _("v{version} of {name} is in {folder}: {size}.")
    facts = {"version": manifest.version, "name": name, "folder": folder, "size": size}
    out.print(text.format(**facts), markup=False)
    following = f"pizarra template import {name} {folder}"
    out.print(_("On another host: {command}").format(command=following), markup=False)
