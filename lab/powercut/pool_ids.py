"""Finds thin ids of a pool that belong to nobody: leaks."""

from __future__ import annotations

from collections.abc import Iterable

from pizarra.model.facts import Volume
from pizarra.model.labels import Role
from pizarra.storage.dm_thin import ids as thin_ids
from pizarra.storage.dm_thin.pool import ThinPool, read_thins


def unknown_ids(pool: ThinPool, volumes: Iterable[Volume]) -> list[int]:
    """Thin ids that are neither a volume's nor the one undo of a seat, in order."""
    thin = [one for one in volumes if one.thin_id]
    left = read_thins(pool).keys() - {one.thin_id for one in thin}
    for one in thin:
        kept = {thin_ids.UNDO_A + one.thin_id, thin_ids.UNDO_B + one.thin_id} & left
        if len(kept) == 1 and one.labels and one.labels.role is Role.SEAT:
            left -= kept
    return sorted(left)
