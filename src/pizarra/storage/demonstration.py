"""Storage for a demonstration without any disk: the pages can be looked at anywhere."""

from __future__ import annotations

from pizarra.storage.memory.store import MemoryStore


def demonstration_store() -> MemoryStore:
    """In memory; what guests would write is written with ``write``."""
    return MemoryStore()
