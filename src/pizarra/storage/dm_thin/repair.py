"""Settles a pool in small turns, and ends LVM's own transaction with a pool after a crash."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pizarra.model.facts import Volume
from pizarra.storage.dm_thin.metadata import Thin
from pizarra.storage.dm_thin.pool import ThinPool, claiming_metadata, read_thins_claimed
from pizarra.storage.dm_thin.transaction import messages_to_finish, pending_transaction
from pizarra.storage.dm_thin.undo import PoolMessages, send
from pizarra.storage.lvm import commands as lvm_commands
from pizarra.storage.lvm.volumes import lvm
from pizarra.system import devmapper
from pizarra.system.locks import holding_vg_lock

_AT_ONCE = 8  # seats under one hold of LVM's lock: the blocks that they had written are freed
_BETWEEN_S = 0.01  # those who wait for LVM's lock look each 2 ms


def send_in_turns(
    pool: ThinPool, choose: Callable[[Mapping[int, Thin]], list[PoolMessages]]
) -> int:
    """Send what ``choose`` finds, a few seats at a time: others get LVM's lock in between.

    How many seats there were. Raises StorageFault.
    """
    count = 0
    while True:
        with claiming_metadata(pool), holding_vg_lock(pool.vg):
            to_send = choose(read_thins_claimed(pool))
            send(pool, to_send[:_AT_ONCE])
        count += len(to_send[:_AT_ONCE])
        if len(to_send) <= _AT_ONCE:
            return count
        time.sleep(_BETWEEN_S)


def finish_transaction(pool: ThinPool, there: Sequence[Volume]) -> bool:
    """Have the pool count what LVM was cut off in. Whether there was anything to end.

    ``there``: the volumes that LVM reports. Raises StorageFault.
    """
    with TemporaryDirectory() as folder:
        file = Path(folder) / "group"
        lvm(lvm_commands.metadata_to(pool.vg, str(file)))
        waiting = pending_transaction(file.read_text(encoding="utf-8"), pool.pool)
    if waiting is None:
        return False
    its = [one for one in there if one.pool == pool.pool]
    with claiming_metadata(pool), holding_vg_lock(pool.vg):
        counted = int(devmapper.status(pool.device)[0].text.split()[0])
        ids = {one.name: one.thin_id for one in its}
        ours = [one.name for one in its if one.labels]
        there_now = read_thins_claimed(pool).keys()
        messages = messages_to_finish(waiting, counted, there_now, ids, ours)
        for message in messages:
            devmapper.message(pool.device, message)
    return bool(messages)
