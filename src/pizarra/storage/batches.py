"""The same step for many pairs: side by side in threads, in batches, a fault each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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


Step = Callable[[RewindTarget], None]


@dataclass(frozen=True, slots=True)
class AtOnce:
    """A step that waits for the kernel, so that all pairs take it at once."""

    step: Step


def run_in_phases(
    pairs: Sequence[RewindTarget], *phases: Step | AtOnce
) -> dict[str, PizarraError | None]:
    """Each phase is a step for all pairs: one pair after another, or ``AtOnce`` in threads.

    A phase ends for all pairs before the next one begins. The first step that fails is the last of
    its pair. Threads share the waiting only: where they have work of their own, they stand in line
    for Python's lock.
    """
    faults: dict[str, PizarraError | None] = {pair.volume.uuid: None for pair in pairs}
    for phase in phases:
        sound = [pair for pair in pairs if faults[pair.volume.uuid] is None]
        if isinstance(phase, AtOnce):
            faults |= run_each(sound, phase.step)
        else:
            faults |= {pair.volume.uuid: try_step(phase, pair) for pair in sound}
    return faults


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
