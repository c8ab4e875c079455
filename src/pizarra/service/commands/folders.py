"""Paths in arguments: root names any path; whoever asks from elsewhere names no path at all."""

from __future__ import annotations

from pathlib import Path

from pizarra.errors import BadInput
from pizarra.model.names import check_name
from pizarra.service.context import Context


def export_folder(context: Context, folder: str) -> Path:
    """Where an export goes. Raises BadInput unless the folder may be that."""
    if context.by is None:
        return Path(folder)
    exports = context.host.settings.state_folder / "exports"
    exports.mkdir(mode=0o700, parents=True, exist_ok=True)
    return exports / check_name(folder, "folder")


def check_is_root(context: Context, argument: str) -> None:
    """Raises BadInput when somebody elsewhere names a path of this host."""
    if context.by is not None:
        raise BadInput(
            "The argument {argument} names a path of the host, and only its terminal may.",
            "Send the file as an upload.",
            argument=argument,
        )
