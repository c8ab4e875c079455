"""pizarra restore: put a backup back, all of it or nothing. ``pizarra recover`` does the rest.

Everything is copied beside its place first and held against its sum. Notes about a moment go to a
folder of their own, which ``recover`` looks through: see ``settle``.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from pizarra import settings as settings_file
from pizarra.errors import AlreadyExists, BadInput, Busy, NotOurs, StorageFault
from pizarra.model.sentence import N_
from pizarra.service.backup.database import dump_to, has_tables, load_dump
from pizarra.service.backup.manifest import (
    MANIFEST,
    MOMENT,
    RESTORED,
    SERVER,
    SETTINGS,
    SQL,
    STATE,
    Manifest,
    read_manifest,
)
from pizarra.service.backup.save import WAIT_S
from pizarra.service.backup.staging import exchange_folders, staged, staging, tree_of
from pizarra.service.context import HOST, Context
from pizarra.settings import Settings, settings_of
from pizarra.system.file_copies import sync, write_new
from pizarra.system.own_folder import opening_folder, path_of
from pizarra.system.tree_copies import put_back, subfolder

_OF_EVERY_HOST = ("exports", "flights", "growth", "metadata-snapshots", "run", "server")
_ASK_S = 2.0


def restore(context: Context, source: Path, *, replace: bool = False) -> dict[str, Any]:
    """Put back what ``back_up`` wrote. Raises BadInput for a backup that is not whole,
    AlreadyExists for a host that has a state, Busy while a server or a verb runs."""
    source = source.absolute()
    claim = context.claim([HOST], N_("restore"), wait_s=max(context.wait_s, WAIT_S))
    with claim, _opening(source) as folder:
        exchange_folders(context.host.settings)  # of a restore that was cut off
        check_server_stopped(context.host.settings)
        manifest = read_manifest(folder, source)
        settings = settings_of(_settings_text(folder, manifest))
        _check_may_replace(context, settings, manifest, replace=replace)
        places = _Places(settings)
        try:
            with staging(settings, places.targets):
                _stage(folder, manifest, places)
                dumped = _restore_database(settings, places.moment)
        except OSError as error:
            raise StorageFault(
                "Nothing is restored: {path}: {why}.",
                "See: df -h; ls -ld",
                path=error.filename or source,
                why=error.strerror,
            ) from None
        aside = [*exchange_folders(settings), *dumped]
    return {
        "restored": str(source),
        "host_name": manifest.host_name,
        "made_at": manifest.made_at,
        "database": manifest.database,
        "set_aside": [str(one) for one in aside],
        "left_out": manifest.left_out,
        "next": "pizarra recover",
    }


class _Places:
    """Where the folders of a backup go."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings_file.FILE.parent
        self.state = Path(os.path.realpath(settings.state_folder))
        self.server = Path(os.path.realpath(settings.server_folder))
        self.moment = self.state / RESTORED
        self.of = {
            SETTINGS: self.settings,
            STATE: self.state,
            MOMENT: self.moment,
            SERVER: self.server / RESTORED,
        }
        # the settings first: they say where the others are
        self.targets = [self.settings, self.state]
        self.targets += [] if self.server.is_relative_to(self.state) else [self.server]

    @contextmanager
    def opening(self, path: Path) -> Iterator[int]:
        """A new folder for what will be at ``path``. Raises OSError."""
        target, below = tree_of(self.targets, path)
        with opening_folder(staged(target), ours=True) as top, subfolder(top, below) as fd:
            yield fd


@contextmanager
def _opening(source: Path) -> Iterator[int]:
    """A backup, which nobody but root may have written. Raises BadInput, NotOurs."""
    with ExitStack() as opened:
        yield _open(opened, source)


def _open(opened: ExitStack, source: Path) -> int:
    try:
        return opened.enter_context(opening_folder(source, ours=True))
    except PermissionError:
        raise NotOurs(
            "Others than root can write to {path}, or to a folder on the way to it.",
            "Copy it to a folder of root's: cp -a {path} /root/",
            path=source,
        ) from None
    except OSError as error:
        raise BadInput(
            "The folder {path} cannot be read: {why}.", path=source, why=error.strerror
        ) from None


def _settings_text(folder: int, manifest: Manifest) -> str:
    """Of the backup's file; empty when it had none. The sum is held against it when it is copied.
    Raises BadInput."""
    name = settings_file.FILE.name
    if all(one.path != f"{SETTINGS}/{name}" for one in manifest.files):
        return ""
    try:
        with subfolder(folder, SETTINGS, make=False) as fd:
            return (path_of(fd) / name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise _broken(f"{SETTINGS}/{name}") from None


def _check_may_replace(
    context: Context, settings: Settings, manifest: Manifest, *, replace: bool
) -> None:
    """Raises AlreadyExists where there is the state of another host."""
    is_same = bool(manifest.host) and manifest.host == context.host.identity
    if is_same or replace:
        return
    if has_state(settings) or (manifest.database == "postgresql" and has_tables(settings)):
        raise AlreadyExists(
            "This host has a state of its own, and the backup is of another, {name}.",
            "To put the backup in its place, and what is here beside it: --replace",
            name=manifest.host_name,
        )


def has_state(settings: Settings) -> bool:
    """Whether the folders have anything that a new host has not."""
    state, pages = settings.state_folder, settings.pages_folder
    there = [*state.iterdir()] if state.is_dir() else []
    own = [one for one in there if one.name not in _OF_EVERY_HOST]
    own += [pages] if pages.is_dir() else []
    return any(not one.is_dir() or any(one.iterdir()) for one in own)


def check_server_stopped(settings: Settings) -> None:
    """Raises Busy while the agent's door or the address of the pages answers."""
    host, _, port = settings.server_listen.rpartition(":")
    inet = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    doors: list[tuple[socket.AddressFamily, Any]] = [
        (socket.AF_UNIX, str(settings.agent_socket)),
        (inet, (host.strip("[]"), int(port))),
    ]
    for family, address in doors:
        with suppress(OSError, OverflowError), socket.socket(family) as door:
            door.settimeout(_ASK_S)
            door.connect(address)
            raise Busy(
                "The server of this host runs.",
                "Stop it: systemctl stop pizarra; and start it when all is restored.",
            )


def _stage(folder: int, manifest: Manifest, places: _Places) -> None:
    """Everything is beside its place, and is what was saved. Raises BadInput, OSError."""
    for one in manifest.files:
        if one.top not in places.of:
            raise _broken(one.path)
        if not one.below:
            continue  # a folder of the backup
        place = places.of[one.top] / one.below
        if one.path == f"{SERVER}/{SQL}":
            place = places.moment / SQL
        with places.opening(place.parent) as to:
            if not put_back(folder, one.to_copied(), to, place.name):
                raise _broken(one.path)
    with places.opening(places.moment) as to:
        write_new(path_of(to) / MANIFEST, manifest.model_dump_json())
    if manifest.database != "none":  # for ``serve``, which goes on from there
        with places.opening(places.of[SERVER]) as to:
            write_new(path_of(to) / RESTORED, f"{manifest.made_at}\n")
            os.fsync(to)


def _restore_database(settings: Settings, moment: Path) -> list[Path]:
    """PostgreSQL has what was dumped. Where what it had is. Raises StorageFault, OSError."""
    state = moment.parent
    folder = staged(state)
    if not (folder / moment.name / SQL).exists():
        return []
    aside = list[Path]()
    with opening_folder(folder, ours=True) as top, subfolder(top, moment.name) as fd:
        if has_tables(settings):
            name = f"database-before-{time.strftime('%Y%m%d-%H%M%S')}.sql"
            dump_to(settings, top, name)
            aside.append(state / name)
        load_dump(settings, fd)
        os.unlink(SQL, dir_fd=fd)
        sync(path_of(fd))
    return aside


def _broken(path: str) -> BadInput:
    return BadInput(
        "The backup is not whole: {file} is not what was saved.",
        "Copy it again from where it was made, or take another one. Nothing is restored.",
        file=path,
    )
