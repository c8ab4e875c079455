"""Definitions of machines in files: adopted ones as they were made, and any as it was before a
reset put it right."""

from __future__ import annotations

import os
from pathlib import Path

from pizarra.errors import StorageFault
from pizarra.system.file_copies import write_atomically


class DefinitionFiles:
    """libvirt's XML, a file a machine, by its UUID."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, uuid: str) -> str | None:
        """As an adopted machine was made; None when nobody knows."""
        path = self._made(uuid)
        return path.read_text("utf-8") if path.is_file() else None

    def put(self, uuid: str, xml: str) -> None:
        """Keep it, from now on. Raises StorageFault."""
        self._write(self._made(uuid), xml)

    def put_before(self, uuid: str, xml: str) -> Path:
        """Keep a definition that is about to be replaced. Raises StorageFault."""
        path = self.folder / f"{uuid}.before.xml"
        self._write(path, xml)
        return path

    def forget(self, uuid: str) -> None:
        """The machine is not ours any more."""
        self._made(uuid).unlink(missing_ok=True)

    def _made(self, uuid: str) -> Path:
        return self.folder / f"{uuid}.xml"

    def _write(self, path: Path, xml: str) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomically(path, xml)
        except OSError as error:
            raise StorageFault(
                "The definition of a machine could not be kept: {why}.",
                "See: df -h {folder}",
                why=os.strerror(error.errno or 0),
                folder=self.folder,
            ) from None
