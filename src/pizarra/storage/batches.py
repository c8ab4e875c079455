"""The same step for many pairs: side by side in threads, in batches, a fault each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from pizarra.errors import PizarraError, StorageFault
from pizarra.storage.interface import Faults, RewindTarget
from pizarra.system.urgency import make_thread_urgent

BATCH = 32  # seats under one hold of LVM's lock: as many as overlap, and nobody waits long


def run_each(
    pairs: Sequence[RewindTarget], step: Callable[[RewindTarget], None]
) -> dict[str, PizarraError | None]:
    """Do ``step`` for all at once. One that fails never stops the others."""
    if len(pairs) == 1:
        return {pairs[0].volume.uuid: try_step(step, pairs[0])}
    faults = _threads().map(lambda pair: try_step(step, pair), pairs)
    return {pair.volume.uuid: fault for pair, fault in zip(pairs, faults, strict=True)}


def run_in_phases(
    pairs: Sequence[RewindTarget],
    before: Callable[[RewindTarget], None],
    between: Callable[[RewindTarget], None],
    after: Callable[[RewindTarget], None],
) -> dict[str, PizarraError | None]:
    """``before`` for all at once, ``between`` one after another, ``after`` for all at once.

    What waits for the kernel is shared by all; what the pool takes in sequence is undisturbed by
    it. The first step that fails is the last of its pair.
    """
    faults = run_each(pairs, before)
    for pair in pairs:
        if faults[pair.volume.uuid] is None:
            faults[pair.volume.uuid] = try_step(between, pair)
    return faults | run_each([pair for pair in pairs if faults[pair.volume.uuid] is None], after)


@cache
def _threads() -> ThreadPoolExecutor:
    """Made once: starting threads costs more than what they do here. Groups share them."""
    return ThreadPoolExecutor(
        2 * BATCH, thread_name_prefix="pizarra-swap", initializer=make_thread_urgent
    )


def run_in_batches(
    pairs: Sequence[RewindTarget], step: Callable[[Sequence[RewindTarget]], Faults]
) -> Faults:
    """Do ``step`` a batch at a time; a batch that fails as a whole is a fault of each of it."""
    faults: dict[str, PizarraError | None] = {}
    for first in range(0, len(pairs), BATCH):
        batch = pairs[first : first + BATCH]
        try:
            faults |= step(batch)
        except PizarraError as error:
            faults |= {pair.volume.uuid: error for pair in batch}
    return faults


def try_step(step: Callable[[RewindTarget], None], pair: RewindTarget) -> PizarraError | None:
    """What stopped it."""
    try:
        step(pair)
    except PizarraError as error:
        return error
    except OSError as error:
        return StorageFault("{name}: {cause}.", name=pair.volume.name, cause=error.strerror)
    return None
