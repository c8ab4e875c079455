"""Whether pools have room for what seats may still write: plain numbers, before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pizarra.model.facts import Pool, Seat, StorageKind, Volume
from pizarra.storage.interface import Capabilities

METADATA_MOST = 0.9
STORE_SHARE = 0.75  # of a classic store; from there it gets more room
_LOOKS_LEFT = 30  # for which the rest of a pool at its reserve must last
STORE_LAST_SHARE = 0.95  # where it cannot, its machine stands still from there


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolNeed:
    """One pool, and what the seats that are to run on it may write yet."""

    pool: Pool
    seats: int
    may_need_bytes: int
    reserve_bytes: int  # that stay free

    @property
    def is_full(self) -> bool:
        """So little is left that a start could be the last drop."""
        return (
            self.pool.free_bytes < self.reserve_bytes
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
    reserve: Callable[[Pool], int],
) -> list[PoolNeed]:
    """For each pool that seats write to; a classic store is as large as it is, and needs none.
    ``reserve`` says how many bytes of a pool stay free."""
    return [
        PoolNeed(
            pool=pool,
            seats=sum(writes_to(seat, pool) for seat in seats),
            may_need_bytes=sum(_left(v) for s in seats for v in s.all_volumes if _writes(v, pool)),
            reserve_bytes=reserve(pool),
        )
        for pool in pools
        if not capabilities[pool.kind].extendable_store
        if any(writes_to(seat, pool) for seat in seats)
    ]


def writes_to(seat: Seat, pool: Pool) -> bool:
    """Whether a disk of the seat takes its space from the pool."""
    return any(_writes(volume, pool) for volume in seat.all_volumes)


def writers_to_pause(need: PoolNeed, grown: Mapping[str, int]) -> tuple[str, ...]:
    """The fastest of those that write to a pool, the fewest for which the rest of the pool lasts.

    ``grown``: what each wrote from one look to the next. Empty while the pool will be above its
    reserve at the next look too.
    """
    total = sum(grown.values())
    if not replace(need, reserve_bytes=need.reserve_bytes + total).is_full:
        return ()
    has_metadata = (need.pool.metadata_used_share or 0) <= METADATA_MOST
    bearable = need.pool.free_bytes / _LOOKS_LEFT if has_metadata else 0
    found = list[str]()
    for name, size in sorted(grown.items(), key=lambda one: -one[1]):
        if total <= bearable:
            break
        found.append(name)
        total -= size
    return tuple(found)


def _writes(volume: Volume, pool: Pool) -> bool:
    same_place = (volume.kind, volume.place) == (pool.kind, pool.place)
    return same_place and volume.pool in ("", pool.name)


def _left(volume: Volume) -> int:
    return round(volume.size_bytes * (1 - (volume.used_share or 0)))
