"""How an adoption ends, whoever finds it: taken back, or ended when its machine's XML is ours."""

from __future__ import annotations

from pizarra.compute.domain_edit import disks_of, seat_of
from pizarra.engine.events import Noted
from pizarra.errors import PizarraError
from pizarra.model.facts import StorageKind, Volume
from pizarra.model.labels import Role
from pizarra.planner.adoption import baseline_name
from pizarra.planner.host_facts import HostFacts
from pizarra.service.context import Context
from pizarra.storage.dm_snapshot.store import MERGING, DmSnapshotStore
from pizarra.storage.interface import raise_first


def finish_adoptions(context: Context, facts: HostFacts) -> None:
    """For ``recover``: end or take back what adoptions and merges of adopted machines left."""
    for classroom, domain in sorted(_unfinished(facts)):
        try:
            with context.claim([classroom], "recover", wait_s=context.wait_s):
                told = finish_adoption(context, domain)
        except PizarraError as error:  # the others go on; the seat says what is wrong with it
            text = "An adoption for {name} is not settled: {why}"
            told = [Noted(text=text, facts={"name": classroom, "why": error})]
        for one in told:
            context.emit(one)


def _unfinished(facts: HostFacts) -> set[tuple[str, str]]:
    """(classroom, domain) of machines with a volume that should not be there, or lacks one."""
    ours = [volume.labels for volume in facts.volumes.values() if volume.labels]
    known = {labels.baseline for labels in ours if labels.role is Role.SEAT}
    return {
        (volume.labels.classroom, volume.labels.domain)
        for uuid, volume in facts.volumes.items()
        if volume.labels and volume.labels.domain
        if volume.labels.role is Role.FILLING
        or (volume.labels.role is Role.BASELINE and uuid not in known)
        or volume.labels.baseline == MERGING
    }


def finish_adoption(context: Context, domain_uuid: str) -> list[Noted]:
    """Put in order what is there of one machine. What it did, in words; nothing when all was well.

    Raises StorageFault, ComputeFault.
    """
    facts = context.host.observe()
    its = [v for v in facts.volumes.values() if v.labels and v.labels.domain == domain_uuid]
    filling = [v for v in its if v.labels and v.labels.role is Role.FILLING]
    seats = [v for v in its if v.labels and v.labels.role is Role.SEAT]
    known = {v.labels.baseline for v in seats if v.labels}
    loose = [v for v in its if v.labels and v.labels.role is Role.BASELINE and v.uuid not in known]
    if not filling and not loose:
        return _finish_merges(seats)
    name = next(v.labels.name for v in its if v.labels)
    if seats or _is_committed(context, facts, domain_uuid, filling + loose):
        _finish(context, facts, loose)
        return [Noted(text="{name}: its adoption is ended.", facts={"name": name})]
    for volumes in (loose, filling):  # a snapshot goes before what it stands on
        raise_first(context.host.remove(volumes))
    text = "{name}: an adoption that never ended is taken back."
    return [Noted(text=text, facts={"name": name})]


def _is_committed(
    context: Context, facts: HostFacts, domain_uuid: str, volumes: list[Volume]
) -> bool:
    """Whether the machine's XML says so already, and it uses what was filled."""
    if domain_uuid not in facts.domains:
        return False
    xml = context.host.compute.xml(domain_uuid)
    labels = volumes[0].labels
    assert labels is not None, "chosen by its labels"
    used = {disk.path for disk in disks_of(xml)}
    filled = [v for v in volumes if v.labels and v.labels.role is Role.FILLING]
    ours = seat_of(xml) == (labels.classroom, str(labels.seat))
    return ours and all(str(volume.path) in used for volume in filled)


def _finish(context: Context, facts: HostFacts, baselines: list[Volume]) -> None:
    """Each volume that has a baseline is a seat's."""
    by_name = {(volume.place, volume.name): volume for volume in facts.volumes.values()}
    for baseline in baselines:
        volume = by_name.get((baseline.place, baseline.origin))
        if volume is None or baseline.labels is None:
            raise PizarraError(
                "{name} is the original of a volume that is gone.",
                "Look at it, then remove it: lvremove {place}/{name}",
                name=baseline.name,
                place=baseline.place,
            )
        labels = baseline.labels.but(role=Role.SEAT, baseline=baseline.uuid)
        storage = context.host.storage_of(volume)
        storage.set_labels({volume.uuid: labels}, storage.observe())


def _finish_merges(seats: list[Volume]) -> list[Noted]:
    """A merge that was cut off: what it was to bring back is there, and gets its snapshot again."""
    told: list[Noted] = []
    for volume in seats:
        labels = volume.labels
        if labels is None or labels.baseline != MERGING or volume.kind is not StorageKind.LVM_THICK:
            continue
        storage = DmSnapshotStore(volume.place)
        again = labels.but(role=Role.BASELINE, baseline="")
        storage.recreate_baseline(volume, again, baseline_name(volume.name))
        told.append(Noted(text="{name}: its reset is ended.", facts={"name": labels.name}))
    return told
