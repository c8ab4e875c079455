"""SHA-256 of files and devices. A device is read without the page cache, which may be stale."""

from __future__ import annotations

import hashlib
import mmap
import os
from pathlib import Path

from pizarra.errors import StorageFault

_CHUNK_BYTES = 4 * 1024 * 1024


def sha256_of(path: Path, size_bytes: int) -> str:
    """SHA-256 of the first ``size_bytes`` of a device or file. Raises StorageFault if shorter."""
    digest = hashlib.sha256()
    aligned = mmap.mmap(-1, _CHUNK_BYTES)
    direct = os.O_DIRECT if path.is_block_device() else 0
    fd = -1
    try:
        fd = os.open(path, os.O_RDONLY | direct | os.O_CLOEXEC)
        offset = 0
        while offset < size_bytes:
            got = min(os.preadv(fd, [aligned], offset), size_bytes - offset)
            if got <= 0:
                raise StorageFault("{path} ends at {offset} bytes.", path=path, offset=offset)
            digest.update(memoryview(aligned)[:got])
            offset += got
    except OSError as error:
        raise StorageFault(
            "{path} cannot be read: {cause}.", path=path, cause=error.strerror
        ) from None
    finally:
        if fd >= 0:
            os.close(fd)
        aligned.close()
    return digest.hexdigest()
