"""A small disk that tells cloud-init who a machine is (NoCloud), and brings back what it says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pizarra.errors import CommandFailed, StorageFault
from pizarra.system.process import run

FOLDER = Path("/var/lib/pizarra/seeds")
_BYTES = 1 << 20


def seed_path(machine: str) -> Path:
    """Of a machine, by its UUID."""
    return FOLDER / f"{machine}.img"


def make_seed(path: Path, label: str, files: Mapping[str, str]) -> None:
    """A FAT file system, since every guest can read and write it. It may hold a password's hash."""
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
    """What the guest wrote there, if it did."""
    try:
        return run(["mtype", "-i", str(path), f"::{name}"]).stdout
    except CommandFailed:
        return None
