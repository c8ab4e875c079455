"""Folders that get a new content as a whole: made beside, then exchanged.

A note is written when all new contents are made, and names the folders to exchange. Whoever finds
the note goes on with it, so that a cut leads forward. What was there stays beside, but for what the
state says of volumes: that is younger than any backup, and stays in its place.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pizarra.errors import BadInput, StorageFault
from pizarra.settings import Settings
from pizarra.system.file_copies import sync, write_atomically
from pizarra.system.own_folder import opening_folder

_MODE = 0o755
_YOUNGER = ("machines", "definitions", "undo", "journal")  # each by UUID, or a name of its own


def staged(target: Path) -> Path:
    """Where the new content of a folder is made."""
    return target.with_name(f".{target.name}.restoring")


def tree_of(targets: Sequence[Path], path: Path) -> tuple[Path, str]:
    """The folder that a path is in, and the path there; of nested ones, the inner."""
    target = max(
        (one for one in targets if path.is_relative_to(one)), key=lambda one: len(str(one))
    )
    return target, str(path.relative_to(target))


@contextmanager
def staging(settings: Settings, targets: Sequence[Path]) -> Iterator[None]:
    """New folders beside these, to fill in the block; they are to be exchanged when it is left. An
    error in the block removes them. Raises BadInput for a mount point, OSError."""
    plan = _plan(settings)
    for one in targets:
        if one.is_mount():
            raise BadInput(
                "{path} is a mount point, and cannot be exchanged.",
                "Let a folder in it be the state_folder of the settings.",
                path=one,
            )
    try:
        for one in targets:
            _make(one)
        yield
        for one in targets:
            staged(one).chmod(one.stat().st_mode & 0o777 if one.is_dir() else _MODE)
            sync(staged(one))
        write_atomically(plan, json.dumps({str(one): str(_free_name(one)) for one in targets}))
    except BaseException:
        plan.unlink(missing_ok=True)
        for one in targets:
            shutil.rmtree(staged(one), ignore_errors=True)
        raise


def _make(target: Path) -> None:
    new = staged(target)
    with opening_folder(new.parent, make=True, ours=True) as parent:
        with suppress(FileNotFoundError):
            shutil.rmtree(new.name, dir_fd=parent)  # of a restore that was cut off
        os.mkdir(new.name, 0o700, dir_fd=parent)


def exchange_folders(settings: Settings) -> list[Path]:
    """Exchange what a note names, if there is one; where what was there is now. Raises
    StorageFault."""
    plan = _plan(settings)
    try:
        if not plan.exists():
            return []
        exchanged = json.loads(plan.read_text(encoding="utf-8"))
        for target, aside in exchanged.items():
            _exchange(Path(target), Path(aside))
            _keep_younger(Path(target), Path(aside))
        plan.unlink()
        sync(plan.parent)
    except (OSError, ValueError) as error:
        raise StorageFault(
            "A restore is not at its end: {why}.",
            "Mend that, and run: pizarra recover",
            why=getattr(error, "strerror", None) or error,
        ) from None
    return [aside for aside in map(Path, exchanged.values()) if aside.exists()]


def _exchange(target: Path, aside: Path) -> None:
    with opening_folder(target.parent, ours=True) as parent:
        if not staged(target).exists():
            return
        if target.is_dir() and any(target.iterdir()):
            aside = _free_name(target) if aside.exists() else aside
            os.rename(target.name, aside.name, src_dir_fd=parent, dst_dir_fd=parent)
        os.rename(staged(target).name, target.name, src_dir_fd=parent, dst_dir_fd=parent)
        os.fsync(parent)


def _keep_younger(target: Path, aside: Path) -> None:
    """What is of volumes, and what the new content does not have, is in it from now on."""
    for name in _YOUNGER:
        old, new = aside / name, target / name
        if not old.is_dir():
            continue
        if not new.exists():
            new.mkdir(mode=stat.S_IMODE(old.stat().st_mode))
        for one in old.iterdir():
            if one.name[0] != "." and not (new / one.name).exists():
                one.rename(new / one.name)
        sync(new)


def _free_name(target: Path) -> Path:
    first = name = target.with_name(f"{target.name}.before-{time.strftime('%Y%m%d-%H%M%S')}")
    number = 1
    while name.exists():
        number += 1
        name = first.with_name(f"{first.name}-{number}")
    return name


def _plan(settings: Settings) -> Path:
    state = Path(os.path.realpath(settings.state_folder))
    return state.with_name(f".{state.name}.restoring.json")
