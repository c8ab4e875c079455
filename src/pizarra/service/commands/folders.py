"""Paths in arguments: root names any path; whoever asks from elsewhere names no path at all."""

from __future__ import annotations

from pathlib import Path

from pizarra.errors import BadInput, NotFound
from pizarra.model.names import check_name
from pizarra.service.context import Context
from pizarra.settings import Settings


def export_folder(context: Context, folder: str) -> Path:
    """Where an export goes. Raises BadInput unless the folder may be that."""
    if context.by is None:
        return Path(folder)
    return exports(context.host.settings) / check_name(folder, "folder")


def exports(settings: Settings) -> Path:
    """The folder of what was exported from elsewhere; root's alone."""
    folder = settings.state_folder / "exports"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def exported_file(settings: Settings, name: str) -> Path:
    """A file that a command exported, by its path below the folder of exports. Raises NotFound."""
    folder = exports(settings).resolve()
    path = (folder / name).resolve()
    if folder not in path.parents or not path.is_file():
        raise NotFound("There is no exported file {name!r}.", name=name)
    return path


def check_is_root(context: Context, argument: str) -> None:
    """Raises BadInput when somebody elsewhere names a path of this host."""
    if context.by is not None:
        raise BadInput(
            "The argument {argument} names a path of the host, and only its terminal may.",
            "Send the file as an upload.",
            argument=argument,
        )
