"""Changes of volumes in several steps that were cut off: they are completed or reverted."""

from __future__ import annotations

from pizarra.engine.events import Noted
from pizarra.errors import PizarraError
from pizarra.model.facts import Volume
from pizarra.model.labels import seat_labels_of
from pizarra.model.sentence import N_
from pizarra.planner.host_facts import HostFacts
from pizarra.service.context import Context
from pizarra.storage.interface import SteppedStore, Storage


def recover(context: Context, facts: HostFacts) -> None:
    """Complete or revert all of them. One that fails stops no other: the error is told, and its
    seat has a fault."""
    for storage, volume in _unfinished(context, facts):
        labels = seat_labels_of(volume.labels)
        if labels is None or not isinstance(storage, SteppedStore):
            continue
        try:
            with context.claim(
                [f"classroom:{labels.classroom}"], N_("recover"), wait_s=context.wait_s
            ):
                told = _finish(context, storage, volume)
        except PizarraError as error:
            told = Noted(text="{name}: {why}", facts={"name": volume.name, "why": error})
        if told:
            context.emit(told)


def _unfinished(context: Context, facts: HostFacts) -> list[tuple[Storage, Volume]]:
    found: list[tuple[Storage, Volume]] = []
    places = sorted({(volume.kind, volume.place) for volume in facts.volumes.values()})
    for kind, place in places:
        storage = context.host.storages.at(kind, place)
        if isinstance(storage, SteppedStore):
            its = [v for v in facts.volumes.values() if (v.kind, v.place) == (kind, place)]
            found += [(storage, volume) for volume in storage.unfinished(its)]
    return found


def _finish(context: Context, storage: SteppedStore, volume: Volume) -> Noted | None:
    """Look again under the claim, because the other command may have ended it meanwhile."""
    now = context.host.observe().volumes.get(volume.uuid)
    if now is None or not storage.unfinished([now]):
        return None
    return Noted(text="{what}.", facts={"what": storage.finish(now)})
