"""Whether pools have room for what seats may still write: plain numbers, before anything starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pizarra.model.facts import Pool, Seat, StorageKind, Volume
from pizarra.storage.interface import Capabilities

LEAST_SHARE = 0.05  # of a pool's data that stays free; below it nothing is started
METADATA_MOST = 0.9
STORE_SHARE = 0.75  # of a classic store; from there it gets more room
STORE_LAST_SHARE = 0.95  # where it cannot, its machine stands still from there


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolNeed:
    """One pool, and what the seats that are to run on it may write yet."""

    pool: Pool
    seats: int
    may_need_bytes: int

    @property
    def is_full(self) -> bool:
        """So little is left that a start could be the last drop."""
        return (
            self.pool.free_bytes < LEAST_SHARE * self.pool.size_bytes
            or (self.pool.metadata_used_share or 0) > METADATA_MOST
        )

    @property
    def may_fill(self) -> bool:
        """If every seat wrote all that it can."""
        return self.may_need_bytes > self.pool.free_bytes


def needs(
    pools: Iterable[Pool],
    seats: Sequence[Seat],
    capabilities: Mapping[StorageKind, Capabilities],
) -> list[PoolNeed]:
    """For each pool that seats write to; a classic store is as large as it is, and needs none."""
    return [
        PoolNeed(
            pool=pool,
            seats=sum(any(_writes(one, pool) for one in seat.all_volumes) for seat in seats),
            may_need_bytes=sum(_left(v) for s in seats for v in s.all_volumes if _writes(v, pool)),
        )
        for pool in pools
        if not capabilities[pool.kind].extendable_store
        if any(_writes(volume, pool) for seat in seats for volume in seat.all_volumes)
    ]


def _writes(volume: Volume, pool: Pool) -> bool:
    same_place = (volume.kind, volume.place) == (pool.kind, pool.place)
    return same_place and volume.pool in ("", pool.name)


def _left(volume: Volume) -> int:
    return round(volume.size_bytes * (1 - (volume.used_share or 0)))
