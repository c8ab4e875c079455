"""What a host needs before its storage can be used, and can be made for it."""

from __future__ import annotations

from pizarra.storage.dm_thin.store import DmThinStore


def create_pool(vg: str, pool: str) -> None:
    """A thin pool of this name in the volume group; fine if it is there. Raises StorageFault."""
    DmThinStore(vg, pool).prepare()
