"""The same step for many volumes: side by side in threads, in batches, a fault each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

from pizarra.errors import PizarraError, StorageFault
from pizarra.model.facts import Volume
from pizarra.storage.interface import Faults
from pizarra.system.urgency import make_thread_urgent

BATCH = 32  # seats under one hold of LVM's lock: as many as overlap, and nobody waits long


def run_each(
    volumes: Sequence[Volume], step: Callable[[Volume], None]
) -> dict[str, PizarraError | None]:
    """Do ``step`` for all at once. One that fails never stops the others."""
    if len(volumes) == 1:
        return {volumes[0].uuid: try_step(step, volumes[0])}
    faults = _threads().map(lambda volume: try_step(step, volume), volumes)
    return {volume.uuid: fault for volume, fault in zip(volumes, faults, strict=True)}


Step = Callable[[Volume], None]


@dataclass(frozen=True, slots=True)
class AtOnce:
    """A step that waits for the kernel, so that all volumes take it at once."""

    step: Step


def run_in_phases(
    volumes: Sequence[Volume], *phases: Step | AtOnce
) -> dict[str, PizarraError | None]:
    """Each phase is a step for all volumes: one volume after another, or ``AtOnce`` in threads.

    A phase ends for all volumes before the next one begins. The first step that fails is the last
    of its volume. Threads share the waiting only: where they have work of their own, they stand in
    line for Python's lock.
    """
    faults: dict[str, PizarraError | None] = {volume.uuid: None for volume in volumes}
    for phase in phases:
        sound = [volume for volume in volumes if faults[volume.uuid] is None]
        if isinstance(phase, AtOnce):
            faults |= run_each(sound, phase.step)
        else:
            faults |= {volume.uuid: try_step(phase, volume) for volume in sound}
    return faults


@cache
def _threads() -> ThreadPoolExecutor:
    """Made once: starting threads costs more than what they do here. Groups share them."""
    return ThreadPoolExecutor(
        2 * BATCH, thread_name_prefix="pizarra-swap", initializer=make_thread_urgent
    )


def run_in_batches(volumes: Sequence[Volume], step: Callable[[Sequence[Volume]], Faults]) -> Faults:
    """Do ``step`` a batch at a time; a batch that fails as a whole is a fault of each of it."""
    faults: dict[str, PizarraError | None] = {}
    for first in range(0, len(volumes), BATCH):
        batch = volumes[first : first + BATCH]
        try:
            faults |= step(batch)
        except PizarraError as error:
            faults |= {volume.uuid: error for volume in batch}
    return faults


def try_step(step: Callable[[Volume], None], volume: Volume) -> PizarraError | None:
    """What stopped it."""
    try:
        step(volume)
    except PizarraError as error:
        return error
    except OSError as error:
        return StorageFault("{name}: {cause}.", name=volume.name, cause=error.strerror)
    return None
