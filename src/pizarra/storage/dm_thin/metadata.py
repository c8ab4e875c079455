"""dm-thin's metadata, read: which devices share their mapping, and where two differ. Pure.

The pool maps device id -> root of that device's own B-tree of (block -> data block).
``create_snap`` gives the new id *the same root*; the first write or discard to either copies the
path from the root down. So two devices with one root are identical, whatever their size, and what
differs is found by descending only where blocks are not shared. Only a held metadata snapshot may
be read so. Formats: drivers/md/dm-thin-metadata.c, drivers/md/persistent-data/dm-btree-internal.h.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from pizarra.errors import StorageFault

BLOCK_BYTES = 4096
_SUPERBLOCK_MAGIC = 27022010
_SUPERBLOCK = struct.Struct("<II Q 16s Q II Q Q 128s 128s QQ I I Q")
_NODE = struct.Struct("<II Q IIII")
_WORD = struct.Struct("<Q")
_MADE = struct.Struct("<16x I 4x")  # of a device's details: the pool's count when it was made
_INTERNAL, _LEAF = 1, 2
_DEPTH_MAX = 16  # a tree in order needs 5 for the largest volume
ReadBlock = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Superblock:
    """What of it matters here."""

    mapping_root: int
    details_root: int
    data_block_bytes: int


@dataclass(frozen=True, slots=True)
class Thin:
    """A device of the pool."""

    root: int  # of its mapping
    made: int  # a later one has a larger number


@dataclass(frozen=True, slots=True)
class _Node:
    internal: bool
    keys: tuple[int, ...]
    values: tuple[int, ...]


def parse_superblock(raw: bytes) -> Superblock:
    """Raises StorageFault when it is none."""
    fields = _SUPERBLOCK.unpack_from(raw)
    if fields[4] != _SUPERBLOCK_MAGIC or fields[5] not in (1, 2):
        raise StorageFault("The thin pool's metadata has no superblock that we can read.")
    return Superblock(
        mapping_root=fields[11], details_root=fields[12], data_block_bytes=fields[13] * 512
    )


def _node(read: ReadBlock, block: int, leaf: struct.Struct = _WORD) -> _Node:
    raw = read(block)
    _, flags, blocknr, count, most, value_bytes, _ = _NODE.unpack_from(raw)
    internal = bool(flags & _INTERNAL)
    value = _WORD if internal else leaf
    fits = value_bytes == value.size and _NODE.size + most * (8 + value.size) <= BLOCK_BYTES
    fits = fits and count <= most and (count or flags == _LEAF)
    if blocknr != block or flags not in (_INTERNAL, _LEAF) or not fits:
        raise _no_node(block)
    keys = struct.unpack_from(f"<{count}Q", raw, _NODE.size)
    at = _NODE.size + 8 * most
    if value is _WORD:
        return _Node(internal, keys, struct.unpack_from(f"<{count}Q", raw, at))
    every = value.iter_unpack(raw[at : at + count * value.size])
    return _Node(internal, keys, tuple(number for (number,) in every))


def _no_node(block: int) -> StorageFault:
    return StorageFault("Block {block} of the thin pool's metadata is no B-tree node.", block=block)


def devices(read: ReadBlock, superblock: Superblock) -> dict[int, Thin]:
    """Every device in the pool, by its id."""
    roots = device_roots(read, superblock.mapping_root)
    made = _all_values(read, superblock.details_root, _MADE)
    if roots.keys() != made.keys():
        raise StorageFault("The thin pool's metadata does not know when its devices were made.")
    return {thin_id: Thin(root, made[thin_id]) for thin_id, root in roots.items()}


def device_roots(read: ReadBlock, mapping_root: int) -> dict[int, int]:
    """Device id -> root block, of every device in the pool."""
    return _all_values(read, mapping_root, _WORD)


def _all_values(read: ReadBlock, root: int, leaf: struct.Struct) -> dict[int, int]:
    found: dict[int, int] = {}
    to_visit, seen = [root], set[int]()
    while to_visit:
        block = to_visit.pop()
        if block in seen:
            raise _no_node(block)
        seen.add(block)
        node = _node(read, block, leaf)
        if node.internal:
            to_visit.extend(node.values)
        else:
            found.update(zip(node.keys, node.values, strict=True))
    return found


def blocks_changed(read: ReadBlock, one: int, other: int) -> int:
    """How many blocks two devices map differently, given their roots; 0 when none.

    Shared subtrees are never read: the cost is that of the difference.
    """
    left, right = {one}, {other}
    left_depth, right_depth = _depth(read, one), _depth(read, other)
    for level in range(max(left_depth, right_depth), 0, -1):
        left, right = left - right, right - left
        if left_depth >= level:
            left = {child for block in left for child in _node(read, block).values}
        if right_depth >= level:
            right = {child for block in right for child in _node(read, block).values}
    left, right = left - right, right - left
    ours, theirs = _mappings(read, left), _mappings(read, right)
    return sum(ours.get(key) != theirs.get(key) for key in ours.keys() | theirs.keys())


def _depth(read: ReadBlock, root: int) -> int:
    """Levels above the leaves."""
    depth, node = 0, _node(read, root)
    while node.internal:
        depth, node = depth + 1, _node(read, node.values[0])
        if depth > _DEPTH_MAX:
            raise _no_node(root)
    return depth


def _mappings(read: ReadBlock, leaves: set[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for leaf in leaves:
        node = _node(read, leaf)
        # the low 24 bits say when it was mapped, the rest where
        found.update((key, value >> 24) for key, value in zip(node.keys, node.values, strict=True))
    return found
