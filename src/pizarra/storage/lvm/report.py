"""LVM's own report as facts. Pure: JSON text in, volumes and pools out.

One ``lvm fullreport`` tells of all volume groups at once, so an observation costs one process
whatever the number of seats. Field names and attribute letters: lvs(8), vgs(8), lvmreport(7).

A group that is strange stops no other: it is a pool with a fault, and so are its volumes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel

from pizarra.errors import NotOurs
from pizarra.model.disk_source import BlockDevice
from pizarra.model.facts import Pool, StorageFacts, Volume
from pizarra.model.labels import PREFIX, Labels, has_tag_of_ours, labels_from_tags
from pizarra.model.sentence import Sentence, join
from pizarra.storage.dm_thin.ids import DISCARDED as LEAST_OF_OURS
from pizarra.storage.kinds import Kind
from pizarra.storage.lvm.records import records_seen
from pizarra.system.lvm_calls import Unreadable, read_groups
from pizarra.system.report_fields import Number, Share

VG_FIELDS = "vg_name,vg_uuid,vg_size,vg_free,vg_extent_size,vg_attr,vg_tags"
SEG_FIELDS = (
    "lv_name,lv_uuid,lv_attr,lv_size,lv_tags,pool_lv,origin,data_percent,metadata_percent,"
    "thin_id,segtype,chunk_size,lv_health_status,origin_size"
)


class VgRow(BaseModel):
    """A volume group."""

    vg_name: str
    vg_uuid: str = ""
    vg_size: int
    vg_free: int
    vg_extent_size: int
    vg_attr: str
    vg_tags: str = ""


class LvRow(BaseModel):
    """A logical volume (its first segment)."""

    lv_name: str
    lv_uuid: str
    lv_attr: str
    lv_size: int
    lv_tags: str
    pool_lv: str
    origin: str
    data_percent: Share
    metadata_percent: Share
    thin_id: Number
    segtype: str
    chunk_size: Number
    lv_health_status: str
    origin_size: Number


@dataclass(frozen=True, slots=True)
class Group:
    """A volume group and its visible volumes."""

    vg: VgRow
    lvs: tuple[LvRow, ...]
    fault: str | None = None  # why nothing in it may be touched


@dataclass(frozen=True, slots=True)
class Groups:
    """All that a report tells."""

    readable: tuple[Group, ...]
    unreadable: tuple[Unreadable, ...] = ()
    strange: tuple[str, ...] = ()  # groups that have the name of ours, in words


def parse_groups(text: str) -> Groups:
    """``lvm fullreport --reportformat json``. Raises StorageFault for a text that is none."""
    good, bad = read_groups(text, VgRow, LvRow)
    by_name: dict[str, list[Group]] = defaultdict(list)
    for vg, rows in good:
        by_name[vg.vg_name].append(Group(vg, tuple(_first_segments(rows))))
    readable, strange = list[Group](), list[str]()
    for its in by_name.values():
        chosen = _choose(its)
        readable += [replace(one, fault=_group_fault(one.vg, chosen)) for one in chosen]
        strange += [_namesake(one.vg) for one in its if one not in chosen]
    return Groups(tuple(readable), tuple(bad), tuple(strange))


def _choose(namesakes: Sequence[Group]) -> Sequence[Group]:
    """Of groups of one name the one that is ours; all when that cannot be told."""
    ours = [one for one in namesakes if _is_ours(one)]
    return ours if len(ours) == 1 else namesakes


def _is_ours(group: Group) -> bool:
    """Whether any volume in it is."""
    return any(has_tag_of_ours(row.lv_tags) for row in group.lvs)


def _namesake(vg: VgRow) -> str:
    return Sentence(
        "A second volume group is called {vg}; it is left alone. Rename it: vgrename {uuid} NAME",
        vg=vg.vg_name,
        uuid=vg.vg_uuid,
    )


def _group_fault(vg: VgRow, namesakes: Sequence[Group]) -> str | None:
    """LVM refuses every command that names one of several, and nobody can tell which is ours."""
    if len(namesakes) > 1:
        uuids = [one.vg.vg_uuid for one in namesakes if one.vg.vg_uuid != vg.vg_uuid]
        return Sentence(
            "another volume group is called {vg} too: see vgs -o +vg_uuid,pv_name, then"
            " vgrename {uuid} NEW_NAME",
            vg=vg.vg_name,
            uuid=next(iter(uuids), vg.vg_uuid),
        )
    if vg.vg_attr[2:3] == "x":
        return Sentence("its volume group is exported: vgimport {vg}", vg=vg.vg_name)
    return None


def _first_segments(rows: Iterable[LvRow]) -> Iterator[LvRow]:
    seen = set()
    for row in rows:
        if row.lv_uuid not in seen and row.lv_name and not row.lv_name.startswith("["):
            seen.add(row.lv_uuid)
            yield row


def facts(groups: Groups) -> StorageFacts:
    """Every volume and pool of these groups."""
    there = Counter(row.lv_uuid for group in groups.readable for row in group.lvs)
    return StorageFacts(
        volumes=tuple(
            _volume(group, row, _strange(group, row, there, crowded))
            for group in groups.readable
            for crowded in [_crowded(group)]
            for row in group.lvs
            if row.segtype != "thin-pool"
        ),
        pools=(
            *(pool for group in groups.readable for pool in _pools(group)),
            *(_unreadable(one) for one in groups.unreadable),
        ),
        records=tuple(
            record
            for group in groups.readable
            for record in records_seen(group.vg.vg_name, group.vg.vg_tags.split(","))
        ),
        strange=groups.strange,
    )


def _strange(group: Group, row: LvRow, there: Counter[str], crowded: set[str]) -> str | None:
    """What is wrong around a volume, whatever its labels say."""
    if group.fault:
        return group.fault
    if there[row.lv_uuid] > 1:  # vgimportclone(8) leaves the UUIDs of volumes as they are
        return Sentence("a copy of its disk is connected: two volumes have the UUID {uuid}",
                        uuid=row.lv_uuid)  # fmt: skip
    if row.pool_lv in crowded:
        return Sentence("thin ids of its pool are so high that what an undo keeps may meet them")
    return None


def _crowded(group: Group) -> set[str]:
    """The pools in which somebody counts as LVM does not: ids that undos have may be theirs."""
    return {row.pool_lv for row in group.lvs if row.thin_id >= LEAST_OF_OURS and row.pool_lv}


def _volume(group: Group, row: LvRow, strange: str | None) -> Volume:
    tags = tuple(tag for tag in row.lv_tags.split(",") if tag.startswith(PREFIX))
    labels, fault = _labels(tags)
    return Volume(
        kind=Kind.LVM_THIN if row.segtype == "thin" else Kind.LVM_THICK,
        place=group.vg.vg_name,
        name=row.lv_name,
        uuid=row.lv_uuid,
        source=BlockDevice(Path("/dev") / group.vg.vg_name / row.lv_name),
        size_bytes=_size_bytes(row),
        labels=labels,
        tags=tags,
        fault=strange or fault or _health(row),
        active=row.lv_attr[4:5] not in ("-", ""),
        read_only=row.lv_attr[1:2] in ("r", "R"),
        used_share=row.data_percent,
        pool=row.pool_lv,
        thin_id=row.thin_id,
        origin=row.origin,
    )


def _size_bytes(row: LvRow) -> int:
    """What a reader sees: lv_size of a classic snapshot is only that of its store."""
    return row.origin_size if row.origin and row.segtype != "thin" else row.lv_size


def _labels(tags: Sequence[str]) -> tuple[Labels | None, str | None]:
    try:
        return labels_from_tags(tags), None
    except NotOurs as error:
        return None, join([error])


def _health(row: LvRow) -> str | None:
    if row.lv_attr[4:5] in ("I", "S") and row.lv_attr[:1] in ("s", "S"):
        return None  # an overflowed snapshot: a rewind mends it
    if row.lv_health_status:
        return Sentence("LVM says of it: {health}", health=row.lv_health_status)
    return None


def _pools(group: Group) -> Iterator[Pool]:
    yield Pool(
        kind=Kind.LVM_THICK,
        place=group.vg.vg_name,
        name=group.vg.vg_name,
        size_bytes=group.vg.vg_size,
        free_bytes=group.vg.vg_free,
        fault=group.fault or _missing_disk(group),
    )
    for row in group.lvs:
        if row.segtype == "thin-pool":
            yield Pool(
                kind=Kind.LVM_THIN,
                place=group.vg.vg_name,
                name=row.lv_name,
                size_bytes=row.lv_size,
                free_bytes=int(row.lv_size * (1 - (row.data_percent or 0))),
                metadata_used_share=row.metadata_percent,
                fault=group.fault or _health(row),
            )


def _missing_disk(group: Group) -> str | None:
    return Sentence("a disk of it is missing") if group.vg.vg_attr[3:4] == "p" else None


def _unreadable(one: Unreadable) -> Pool:
    return Pool(
        kind=Kind.LVM_THICK,
        place=one.name,
        name=one.name,
        size_bytes=0,
        free_bytes=0,
        fault=Sentence(
            "LVM's report cannot be read at {where}: {why}", where=one.where, why=one.why
        ),
    )
