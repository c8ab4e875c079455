"""What is read of a volume, whatever its storage."""

from __future__ import annotations

from pizarra.model.facts import Volume
from pizarra.storage.interface import VolumeStore
from pizarra.system.checksum import sha256_of


def checksum(store: VolumeStore, volume: Volume, size_bytes: int) -> str:
    """SHA-256 of the first ``size_bytes`` of the content, read from the disk itself."""
    with store.opening(volume, raw=True) as path:
        return sha256_of(path, size_bytes)
