"""Ends LVM's own transaction with a thin pool after a crash fell into it; see ``transaction``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pizarra.model.facts import Volume
from pizarra.storage.dm_thin.pool import ThinPool, claiming_metadata, read_thins_claimed
from pizarra.storage.dm_thin.transaction import messages_to_finish, pending_transaction
from pizarra.storage.lvm import commands as lvm_commands
from pizarra.storage.lvm.volumes import lvm
from pizarra.system import devmapper
from pizarra.system.locks import holding_vg_lock


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
