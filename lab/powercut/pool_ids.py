"""Which thin ids of a pool nobody knows: leaks."""

from __future__ import annotations

from collections.abc import Iterable

from pizarra.model.facts import Volume
from pizarra.model.labels import Role
from pizarra.storage import thin_ids
from pizarra.storage.thin_pool import ThinPool, thins_read


def not_known(pool: ThinPool, volumes: Iterable[Volume]) -> list[int]:
    """Those that are neither a volume's nor the one content that is kept of a seat."""
    thin = [one for one in volumes if one.thin_id]
    left = thins_read(pool).keys() - {one.thin_id for one in thin}
    for one in thin:
        kept = {thin_ids.FIRST + one.thin_id, thin_ids.SECOND + one.thin_id} & left
        if len(kept) == 1 and one.labels and one.labels.role is Role.SEAT:
            left -= kept
    return sorted(left)
