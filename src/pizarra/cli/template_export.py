"""pizarra template export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pizarra.cli.options import Json, Storage
from pizarra.cli.output import out, print_json
from pizarra.cli.verbs import told
from pizarra.cli.words import _
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
    with told(as_json=as_json) as context:
        manifest = service.template_exported(
            context, name, folder, version=version, kind=storage, place=vg
        )
    if as_json:
        print_json(manifest.model_dump() | {"folder": str(folder.absolute())})
        return
    size = size_text(sum(disk.file_bytes for disk in manifest.disks))
    text = _("v{version} of {name} is in {folder}: {size}.")
    facts = {"version": manifest.version, "name": name, "folder": folder, "size": size}
    out.print(text.format(**facts), markup=False)
    following = f"pizarra template import {name} {folder}"
    out.print(_("On another host: {command}").format(command=following), markup=False)
