"""Complete or revert an adoption that was cut off: complete, when the machine's XML is ours
already."""

from __future__ import annotations

from dataclasses import replace

from pizarra.compute.domain_edit import disks_of, seat_of
from pizarra.engine.events import Noted
from pizarra.errors import PizarraError
from pizarra.model.facts import Volume, labelled
from pizarra.model.labels import BaselineLabels, FillingLabels, SeatLabels, seat_labels_of
from pizarra.model.sentence import N_
from pizarra.planner.host_facts import HostFacts
from pizarra.service.context import Context
from pizarra.storage.interface import raise_first


def finish_adoptions(context: Context, facts: HostFacts) -> None:
    """For ``recover``: complete or revert all adoptions, and all merges of adopted machines, that
    were cut off."""
    for classroom, domain in sorted(_unfinished(facts)):
        try:
            with context.claim([f"classroom:{classroom}"], N_("recover"), wait_s=context.wait_s):
                told = finish_adoption(context, domain)
        except PizarraError as error:  # the others go on; the seat says what is wrong with it
            text = N_("An adoption for {name} is not settled: {why}")
            told = [Noted(text=text, facts={"name": classroom, "why": error})]
        for one in told:
            context.emit(one)


def _unfinished(facts: HostFacts) -> set[tuple[str, str]]:
    """Pairs of classroom and domain: machines that have a volume too many, or lack one."""
    known = {seat.labels.baseline for seat in labelled(facts.volumes.values(), SeatLabels)}
    return {
        (labels.classroom, labels.domain)
        for uuid, volume in facts.volumes.items()
        if (labels := seat_labels_of(volume.labels)) and labels.domain
        if (isinstance(volume.labels, FillingLabels) and not labels.template)
        or (isinstance(volume.labels, BaselineLabels) and uuid not in known)
    }


def finish_adoption(context: Context, domain_uuid: str) -> list[Noted]:
    """Put one machine in order. Returns what was done, in words; nothing when all was well.

    Raises StorageFault, ComputeFault.
    """
    facts = context.host.observe()
    its = [v for v in facts.volumes.values() if _domain(v) == domain_uuid]
    filling, seats = labelled(its, FillingLabels), labelled(its, SeatLabels)
    known = {volume.labels.baseline for volume in seats}
    loose = [v for v in labelled(its, BaselineLabels) if v.uuid not in known]
    if not filling and not loose:
        return []
    name = next(labels.name for v in its if (labels := seat_labels_of(v.labels)))
    if seats or _is_committed(context, facts, domain_uuid, [*filling, *loose]):
        context.host.definitions.put(domain_uuid, context.host.compute.xml(domain_uuid))
        _finish(context, facts, loose)
        return [Noted(text=N_("{name}: its adoption is ended."), facts={"name": name})]
    raise_first(context.host.remove(loose))  # a snapshot goes before what it stands on
    raise_first(context.host.remove(filling))
    text = N_("{name}: an adoption that never ended is taken back.")
    return [Noted(text=text, facts={"name": name})]


def _domain(volume: Volume) -> str:
    labels = seat_labels_of(volume.labels)
    return labels.domain if labels else ""


def _is_committed(
    context: Context, facts: HostFacts, domain_uuid: str, volumes: list[Volume]
) -> bool:
    """Whether the machine's XML is ours already, and the machine uses the volumes that were
    filled."""
    if domain_uuid not in facts.domains:
        return False
    xml = context.host.compute.xml(domain_uuid)
    labels = seat_labels_of(volumes[0].labels)
    assert labels is not None, "chosen by its labels"
    used = {disk.path for disk in disks_of(xml)}
    filled = labelled(volumes, FillingLabels)
    ours = seat_of(xml) == (labels.classroom, str(labels.seat))
    return ours and all(str(volume.path) in used for volume in filled)


def _finish(context: Context, facts: HostFacts, baselines: list[Volume[BaselineLabels]]) -> None:
    """Label each volume that has a baseline as a seat's."""
    by_name = {(volume.place, volume.name): volume for volume in facts.volumes.values()}
    for baseline in baselines:
        volume = by_name.get((baseline.place, baseline.origin))
        if volume is None:
            raise PizarraError(
                "{name} is the original of a volume that is gone.",
                "Look at it, then remove it: lvremove {place}/{name}",
                name=baseline.name,
                place=baseline.place,
            )
        labels = replace(baseline.labels.of, baseline=baseline.uuid)
        storage = context.host.storage_of(volume)
        storage.set_labels({volume.uuid: labels}, storage.observe())
