"""A live thin pool's metadata, through a held metadata snapshot: compared by us or by thin_delta.

The kernel holds one metadata snapshot a pool. Ours are short, guarded by a lock of ours, and noted
in a file first, so that one left behind by a kill is known for ours and let go by the next.
"""

from __future__ import annotations

import errno
import mmap
import os
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pizarra.errors import PizarraError, StorageFault
from pizarra.model.sentence import N_
from pizarra.storage.dm_thin.metadata import (
    BLOCK_BYTES,
    ReadBlock,
    Thin,
    blocks_changed,
    device_roots,
    devices,
    parse_superblock,
)
from pizarra.storage.interface import Change
from pizarra.system import devmapper, locks
from pizarra.system.file_copies import write_atomically
from pizarra.system.locks import claiming
from pizarra.system.process import run
from pizarra.system.thin_tools import thin_delta_argv

_HELD = "held"
NOTES = Path("/var/lib/pizarra/metadata-snapshots")
_Ids = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class ThinPool:
    """A thin pool by name; its devices are ``<vg>-<pool>-tpool`` and ``<vg>-<pool>_tmeta``."""

    vg: str
    pool: str

    @property
    def device(self) -> str:
        """The device that takes messages."""
        return devmapper.dm_name(self.vg, self.pool) + "-tpool"

    @property
    def metadata(self) -> Path:
        """The device that holds its metadata."""
        return Path("/dev/mapper") / (devmapper.dm_name(self.vg, self.pool) + "_tmeta")


@contextmanager
def claiming_metadata(pool: ThinPool) -> Iterator[None]:
    """Nobody else of ours holds its metadata: taken before LVM's lock, for it may take long."""
    with claiming([f"metadata-{pool.device}"], N_("prove"), folder=locks.HOST_LOCKS, wait_s=300):
        yield


@contextmanager
def metadata_snapshot(pool: ThinPool) -> Iterator[int]:
    """Hold the pool's metadata as it is now; yields the block of its superblock."""
    with claiming_metadata(pool), _holding(pool) as root:
        yield root


def check_active(pool: ThinPool) -> devmapper.Device:
    """Its device. Raises StorageFault when the kernel has none."""
    device = devmapper.device(pool.device)
    if device is None:
        raise StorageFault(
            "The thin pool {vg}/{pool} is not active.",
            "Activate it: vgchange -ay {vg}",
            vg=pool.vg,
            pool=pool.pool,
        )
    return device


@contextmanager
def _holding(pool: ThinPool) -> Iterator[int]:
    check_active(pool)
    note = NOTES / pool.device
    NOTES.mkdir(parents=True, exist_ok=True)
    _release_left_behind(pool, note)
    write_atomically(note, _HELD)  # lasting first: so is what the pool holds
    _reserve(pool)
    try:
        yield _held_root(pool)
    finally:
        devmapper.message(pool.device, "release_metadata_snap")
        note.write_text("")


def _release_left_behind(pool: ThinPool, note: Path) -> None:
    if not note.exists() or note.read_text(encoding="utf-8") != _HELD:
        return
    try:
        devmapper.message(pool.device, "release_metadata_snap")
    except StorageFault as error:
        if error.facts.get("errno") != errno.EINVAL:  # it was not held after all
            raise


def _reserve(pool: ThinPool) -> None:
    try:
        devmapper.message(pool.device, "reserve_metadata_snap")
    except StorageFault as error:
        if error.facts.get("errno") == errno.EBUSY:
            raise StorageFault(
                "Another program holds the metadata snapshot of the thin pool {vg}/{pool}.",
                "If nothing of yours does: dmsetup message {device} 0 release_metadata_snap",
                vg=pool.vg,
                pool=pool.pool,
                device=pool.device,
            ) from None
        raise


def _held_root(pool: ThinPool) -> int:
    """From the pool's status line (Documentation/admin-guide/device-mapper/thin-provisioning)."""
    words = devmapper.status(pool.device)[0].text.split()
    if len(words) < 4 or not words[3].isdigit():
        raise StorageFault(
            "The thin pool {vg}/{pool} says {status!r} of itself and cannot be read.",
            "See: lvs -a {vg}; and the kernel log: dmesg | tail",
            vg=pool.vg,
            pool=pool.pool,
            status=" ".join(words),
        )
    return int(words[3])


@contextmanager
def _block_reader(path: Path) -> Iterator[ReadBlock]:
    """Reads past the page cache, which knows nothing of what the kernel wrote below it."""
    fd, aligned = -1, mmap.mmap(-1, BLOCK_BYTES)

    @cache
    def read(block: int) -> bytes:
        if os.preadv(fd, [aligned], block * BLOCK_BYTES) != BLOCK_BYTES:
            raise StorageFault("{path} ends before block {block}.", path=path, block=block)
        return bytes(aligned)

    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
        yield read
    except OSError as error:
        raise StorageFault("{name}: {cause}.", name=path, cause=error.strerror) from None
    finally:
        aligned.close()
        if fd >= 0:
            os.close(fd)


def read_changes(pool: ThinPool, ids: _Ids) -> list[Change | PizarraError]:
    """Compare (baseline id, seat id) pairs by reading the trees where they differ."""
    with metadata_snapshot(pool) as root, _block_reader(pool.metadata) as read:
        superblock = parse_superblock(read(root))
        roots = device_roots(read, superblock.mapping_root)
        return [_read_change(read, superblock.data_block_bytes, roots, pair) for pair in ids]


def read_thins(pool: ThinPool) -> dict[int, Thin]:
    """All that the pool has, by thin id."""
    with claiming_metadata(pool):
        return read_thins_claimed(pool)


def read_thins_claimed(pool: ThinPool) -> dict[int, Thin]:
    """The same for whoever has claimed its metadata."""
    with _holding(pool) as root, _block_reader(pool.metadata) as read:
        return devices(read, parse_superblock(read(root)))


def _read_change(
    read: ReadBlock, block_bytes: int, roots: dict[int, int], ids: tuple[int, int]
) -> Change | PizarraError:
    lost = [thin_id for thin_id in ids if thin_id not in roots]
    if lost:
        return missing(lost[0])
    blocks = blocks_changed(read, roots[ids[0]], roots[ids[1]])
    return Change(changed_bytes=blocks * block_bytes)


def missing(thin_id: int) -> StorageFault:
    """The error for a device that a crash took away."""
    return StorageFault(
        "The thin pool has no device {thin_id}: a reset was cut off.",
        "Run: pizarra recover",
        thin_id=thin_id,
    )


def run_thin_delta(pool: ThinPool, ids: _Ids) -> list[Change | PizarraError]:
    """The same, told by thin_delta: one metadata snapshot for all, two processes at a time."""
    with metadata_snapshot(pool), ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(lambda pair: _run_thin_delta(pool, pair), ids))


def _run_thin_delta(pool: ThinPool, ids: tuple[int, int]) -> Change | PizarraError:
    try:
        return parse_delta(run(thin_delta_argv(pool.metadata, ids)).stdout)
    except PizarraError as error:
        return error


def parse_delta(text: str) -> Change:
    """thin_delta's XML: every range that is not ``same`` counts."""
    try:
        top = ET.fromstring(text)
        block_bytes = int(top.attrib["data_block_size"]) * 512
        ranges = [part for diff in top.iter("diff") for part in diff if part.tag != "same"]
        changed = sum(int(part.attrib["length"]) for part in ranges)
    except (ET.ParseError, KeyError, ValueError) as error:
        raise StorageFault("thin_delta's answer cannot be read: {why}.", why=error) from None
    return Change(changed_bytes=changed * block_bytes)
