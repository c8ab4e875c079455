"""What only the terminal of a host may say: root names any path, nobody elsewhere names one."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pizarra.errors import BadInput, NotFound
from pizarra.model.names import check_name
from pizarra.model.sentence import N_
from pizarra.service.context import Context
from pizarra.settings import Settings

_KEPT_S = 24 * 3600


def export_folder(context: Context, folder: Path) -> Path:
    """Where an export goes. Raises BadInput unless the folder may be that."""
    if context.by is None:
        return folder
    _forget_old(exports(context.host.settings))
    return exports(context.host.settings) / check_name(str(folder), N_("folder"))


def exported(manifest: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The document of an export: its manifest, where it is, and the files to fetch."""
    files = sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())
    return {**manifest, "folder": str(folder.absolute()), "files": files}


def exports(settings: Settings) -> Path:
    """The folder of what was exported from elsewhere; root's alone."""
    folder = settings.export_folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _forget_old(folder: Path) -> None:
    """What nobody fetched within a day."""
    for one in folder.iterdir():
        if time.time() - one.stat().st_mtime < _KEPT_S:
            continue
        if one.is_dir():
            shutil.rmtree(one)
        else:
            one.unlink()


def exported_file(settings: Settings, name: str) -> Path:
    """A file that a command exported, by its path below the folder of exports. Raises NotFound."""
    folder = exports(settings).resolve()
    with suppress(OSError, ValueError):  # a name too long, or with a NUL
        path = (folder / name).resolve()
        if folder in path.parents and path.is_file():
            return path
    raise NotFound("There is no exported file {name!r}.", name=name)


def check_is_root(context: Context, argument: str) -> None:
    """Raises BadInput when somebody elsewhere asks for what only the host's terminal may."""
    if context.by is not None:
        raise BadInput(
            "The argument {argument} is for the terminal of the host alone.",
            "Leave it out; a file is sent as an upload.",
            argument=argument,
        )
