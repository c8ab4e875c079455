"""What adoptions need of LVM beside a backend: which volume a path is, data on disk, labels off."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pizarra.errors import BadInput
from pizarra.model.facts import Volume
from pizarra.storage.kinds import Kind
from pizarra.storage.lvm import commands as lvm_commands
from pizarra.storage.lvm.volumes import lvm
from pizarra.system import devmapper
from pizarra.system.file_copies import sync

LVM_KINDS = (Kind.LVM_THIN, Kind.LVM_THICK)


def volume_at(path: str, volumes: Iterable[Volume]) -> Volume | None:
    """The logical volume that a path of a domain's XML leads to, by whatever name or link."""
    real = os.path.realpath(path)
    for volume in volumes:
        if volume.kind in LVM_KINDS:
            mapped = f"/dev/mapper/{devmapper.dm_name(volume.place, volume.name)}"
            if path in (str(volume.path), mapped) or (
                volume.active and real == os.path.realpath(volume.path)
            ):
                return volume
    return None


def flush(volume: Volume) -> None:
    """Data and the pool's own metadata are on the disk when this returns, whatever its caches."""
    sync(volume.path)
    devmapper.flush_page_cache(volume.path)


def remove_labels(volume: Volume) -> None:
    """All tags of ours off; those of others stay. Raises StorageFault."""
    tags = volume.tags if volume.labels else ()
    if tags:
        lvm(lvm_commands.unlabel(volume.place, volume.name, tags))


def file_stamp(path: Path) -> tuple[int, int, int, int]:
    """Differs when somebody wrote to the file, or put another in its place. Raises BadInput."""
    try:
        seen = path.stat()
    except OSError as error:
        raise BadInput("{path}: {why}.", path=path, why=error.strerror) from None
    return (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns)
