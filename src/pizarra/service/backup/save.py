"""pizarra backup: a new folder with what of this host is on no volume, of one moment."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pizarra import settings as settings_file
from pizarra.engine.events import Began, Noted
from pizarra.errors import HostNotFit, PizarraError, StorageFault
from pizarra.model.facts import Power, Seat
from pizarra.model.sentence import N_
from pizarra.service.backup.database import Database, copy_server
from pizarra.service.backup.manifest import (
    MANIFEST,
    MOMENT,
    SERVER,
    SETTINGS,
    STATE,
    Manifest,
    entries,
)
from pizarra.service.context import HOST, Context
from pizarra.service.export import check_new_folder
from pizarra.system.own_folder import making_folder, opening_folder, path_of
from pizarra.system.tree_copies import Copied, copy_any, copy_tree, new_file, subfolder

WAIT_S = 60.0  # for verbs that are under way
_UNDO = re.compile(r"[^.]+\.undo-[ab]")
_RAM = ".ram"
PRESENT = "present"  # in the moment's folder: what machines had beside their disks


def back_up(context: Context, to: Path) -> dict[str, Any]:
    """Write a backup. A folder that cannot be whole is not there at all.

    No verb is half-way meanwhile. Raises Busy, StorageFault, HostNotFit, BadInput.
    """
    to = to.absolute()
    check_new_folder(to)
    with context.claim([HOST], N_("backup"), wait_s=max(context.wait_s, WAIT_S)):
        context.emit(Began(what=N_("backup"), total=0))
        try:
            with making_folder(to, mode=0o700, ours=True) as folder:
                _check_private(folder, to)
                manifest = _Backup(context, folder).write()
        except OSError as error:
            raise StorageFault(
                "The backup {path} cannot be written: {why}.",
                "Only root may be able to write to the folders on its way: ls -ld {parent}",
                path=to,
                parent=to.parent,
                why=error.strerror,
            ) from None
    return {
        "backup": str(to),
        "files": sum(bool(one.sha256) for one in manifest.files),
        "bytes": sum(one.size_bytes for one in manifest.files),
        "database": manifest.database,
        "left_out": manifest.left_out,
    }


def _check_private(folder: int, to: Path) -> None:
    """Raises HostNotFit: a stick with FAT shows everybody what is on it."""
    if os.fstat(folder).st_mode & 0o077:
        raise HostNotFit(
            "The file system of {path} keeps no modes, and a backup has secrets.",
            "Make it on another one; encrypt it before you take it elsewhere.",
            path=to,
        )


class _Backup:
    def __init__(self, context: Context, folder: int) -> None:
        self.host, self.emit = context.host, context.emit
        self.settings = context.host.settings
        self.folder = folder
        rooms = self.host.observe().classrooms.values()
        self.seats = [seat for room in rooms for seat in room.seats]
        self.files = list[Copied]()

    def write(self) -> Manifest:
        state = self.settings.state_folder
        self._tree(settings_file.FILE.parent, SETTINGS)
        self._tree(state / "machines", f"{STATE}/machines", _is_original)
        self._tree(state / "definitions", f"{STATE}/definitions", _is_before)
        self._tree(state / "machines", f"{MOMENT}/machines", _UNDO.fullmatch)
        self._tree(state / "definitions", f"{MOMENT}/definitions", _is_made)
        self._tree(self.host.undo_index.folder, f"{MOMENT}/undo", _is_note)
        self._tree(self.host.journal.folder, f"{MOMENT}/journal", _is_record)
        self._present()
        with subfolder(self.folder, SERVER) as to:
            database, copied = copy_server(self.settings, to)
        self.files += copied
        return self._manifest(database)

    def _manifest(self, database: Database) -> Manifest:
        manifest = Manifest(
            host=self.host.identity,
            host_name=socket.gethostname(),
            made_at=time.time(),
            database=database,
            contents=self._contents(),
            adopted=adopted_of(self.seats),
            left_out=self._names_left_out(),
            files=entries(self.files),
        )
        with new_file(self.folder, MANIFEST) as fd:
            text = json.dumps(manifest.model_dump(), indent=1) + "\n"
            path_of(fd).write_text(text, encoding="utf-8")
        return manifest

    def _contents(self) -> dict[str, dict[str, str]]:
        """Of seats; of those that storage cannot tell of, nothing, and it is said."""
        found = self.host.content_ids([one for seat in self.seats for one in seat.volumes])
        for fault in {str(one) for one in found.values() if isinstance(one, PizarraError)}:
            text = N_("Undos on it will not come back from this backup: {why}")
            self.emit(Noted(text=text, facts={"why": fault}))
        return {
            uuid: dict(words)
            for uuid, words in found.items()
            if words and not isinstance(words, PizarraError)
        }

    def _tree(self, source: Path, to: str, wants: Callable[[str], object] = bool) -> None:
        """``wants`` is asked for each name in the folder; fine if there is no such folder."""
        if source.is_dir():
            with opening_folder(source) as fd, subfolder(self.folder, to) as target:
                self.files += copy_tree(fd, target, to, wants)

    def _present(self) -> None:
        """What machines have beside their disks now; of one that runs, as its files are."""
        for seat in self.seats:
            if not seat.labels.firmware_state or seat.power is Power.ABSENT:
                continue
            files = self.host.states.files_in_use(seat.volumes[0])
            top = f"{MOMENT}/{PRESENT}/{seat.volumes[0].uuid}"
            for name, path in (("nvram", files.nvram), ("tpm", files.tpm)):
                if path is None or not path.parent.is_dir():
                    continue
                with opening_folder(path.parent) as parent, subfolder(self.folder, top) as to:
                    self.files += copy_any(parent, path.name, to, name, f"{top}/{name}")

    def _names_left_out(self) -> list[str]:
        """RAM is as large as the machines, and is saved anew in a minute."""
        folder = self.settings.state_folder / "machines"
        names = sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []
        return [f"machines/{one}" for one in names if one.endswith(_RAM) and one[0] != "."]


def _is_original(name: str) -> bool:
    """Of a template's, a baseline's or a checkpoint's volume."""
    return "." not in name


def _is_before(name: str) -> bool:
    return name.endswith(".before.xml")


def _is_made(name: str) -> bool:
    return name.endswith(".xml") and not _is_before(name) and name[0] != "."


def _is_note(name: str) -> bool:
    return "." not in name


def _is_record(name: str) -> bool:
    return name.endswith(".json") and name[0] != "."


def adopted_of(seats: Iterable[Seat]) -> dict[str, dict[str, str]]:
    """By UUID of an adopted machine, its volumes and their originals: another adoption of the same
    machine has others."""
    return {
        seat.domain_uuid: {one.uuid: one.labels.baseline for one in seat.volumes}
        for seat in seats
        if seat.is_adopted
    }
