"""LVM's own transaction with a thin pool, when a power cut fell into it.

LVM writes its metadata with a message for the pool in it, sends the message, has the pool count the
transaction, and then forgets the message. Cut off after the message was sent, LVM sends it again
with its next command, is told that the thin device exists, and refuses every change of that pool
from then on. What it had left to do is to have the transaction counted: that is done here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

_TRANSACTION = re.compile(r"\n\s*transaction_id = (\d+)")
_CREATE = re.compile(r'\n\s*create = "([^"]+)"')
_DELETE = re.compile(r"\n\s*delete = (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingTransaction:
    """What LVM's metadata says of a pool."""

    transaction: int
    creates: tuple[str, ...]  # names of volumes
    deletes: tuple[int, ...]  # thin ids


def pending_transaction(metadata: str, pool: str) -> PendingTransaction | None:
    """Read off what ``vgcfgbackup`` writes; None when the pool waits for nothing."""
    block = re.search(rf"\n\t\t{re.escape(pool)} {{\n.*?\n\t\t}}\n", metadata, re.S)
    counted = _TRANSACTION.search(block[0]) if block else None
    if not block or not counted:
        return None
    found = PendingTransaction(
        transaction=int(counted[1]),
        creates=tuple(_CREATE.findall(block[0])),
        deletes=tuple(map(int, _DELETE.findall(block[0]))),
    )
    return found if found.creates or found.deletes else None


def messages_to_finish(
    waiting: PendingTransaction,
    counted: int,
    there: Collection[int],
    ids: Mapping[str, int],
    ours: Collection[str],
) -> list[str]:
    """What the pool must still be told; nothing when LVM can go on by itself, or it is not ours.

    ``counted``: the pool's transaction; ``there``: its thin devices; ``ids``: of volumes by name;
    ``ours``: the names of those that are ours.
    """
    stuck = [name for name in waiting.creates if ids.get(name) in there]
    if waiting.transaction != counted + 1 or not stuck or len(stuck) < len(waiting.creates):
        return []
    if not set(stuck) <= set(ours):
        return []
    deletes = [f"delete {one}" for one in waiting.deletes if one in there]
    return [*deletes, f"set_transaction_id {counted} {waiting.transaction}"]
