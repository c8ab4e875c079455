"""A small disk with cloud-init's data for one machine (NoCloud), on which the guest answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pizarra.errors import CommandFailed, StorageFault
from pizarra.system.jail import limit
from pizarra.system.process import run

_BYTES = 1 << 20


def seed_path(folder: Path, machine: str) -> Path:
    """The seed of the machine with this UUID."""
    return folder / f"{machine}.img"


def make_seed(path: Path, label: str, files: Mapping[str, str]) -> None:
    """Make a FAT image with these files, mode 0600: a file may hold a password's hash."""
    try:
        path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        os.truncate(path, _BYTES)
    except OSError as error:
        raise StorageFault(
            "{path} cannot be written: {cause}.", path=path, cause=error.strerror
        ) from None
    run(["mkfs.vfat", "-n", label, str(path)])
    for name, text in files.items():
        run(["mcopy", "-i", str(path), "-", f"::{name}"], input_text=text)


def read_seed(path: Path, name: str) -> str | None:
    """The text of a file on the seed, or None. The guest could write anything to the seed."""
    try:
        return run(limit(["mtype", "-i", str(path), f"::{name}"], file_bytes=0)).stdout
    except CommandFailed:
        return None
