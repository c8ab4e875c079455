"""Disks whose file system refuses O_DIRECT, as tmpfs does before Linux 6.6."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from pizarra.compute.interface import DiskSpec
from pizarra.model.disk_source import ImageFile


def buffered_targets(disks: Sequence[DiskSpec]) -> frozenset[str]:
    """The targets (``vda``) of those that the page cache has to serve."""
    return frozenset(
        disk.target
        for disk in disks
        if isinstance(disk.source, ImageFile) and _refuses_direct_io(disk.source.path)
    )


def _refuses_direct_io(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC))
    except OSError as error:
        return error.errno == errno.EINVAL
    return False
