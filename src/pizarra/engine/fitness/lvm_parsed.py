"""What LVM's reports say of the health of groups and pools. Pure: text in, facts out.

Field names: lvs(8), vgs(8), lvmreport(7); settings: lvmconfig(8).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from pydantic import BaseModel

from pizarra.engine.fitness.facts import GroupSeen, PoolSeen, Version
from pizarra.errors import NotOurs
from pizarra.model.labels import Labels, Role, has_tag_of_ours, labels_from_tags
from pizarra.system.lvm_calls import Unreadable, read_groups
from pizarra.system.report_fields import Number, Share

VG_FIELDS = (
    "vg_name,vg_uuid,vg_size,vg_free,vg_extent_size,vg_attr,lv_count,vg_mda_size,vg_mda_free"
)
LV_FIELDS = (
    "lv_name,lv_uuid,lv_size,lv_tags,pool_lv,segtype,data_percent,metadata_percent,"
    "lv_metadata_size,lv_health_status,lv_check_needed,lv_profile,seg_monitor,lv_active"
)


class _Vg(BaseModel):
    vg_name: str
    vg_uuid: str
    vg_size: int
    vg_free: int
    vg_extent_size: int
    vg_attr: str
    lv_count: int
    vg_mda_size: int
    vg_mda_free: int


class _Lv(BaseModel):
    lv_name: str
    lv_uuid: str
    lv_size: int
    lv_tags: str
    pool_lv: str
    segtype: str
    data_percent: Share
    metadata_percent: Share
    lv_metadata_size: Number
    lv_health_status: str
    lv_check_needed: str
    lv_profile: str
    seg_monitor: str
    lv_active: str = ""


def parse_groups(
    text: str, pool: str, threshold_of: Callable[[str], int]
) -> tuple[tuple[GroupSeen, ...], tuple[Unreadable, ...]]:
    """``lvm fullreport``; ``threshold_of`` tells the autoextension threshold under a profile.

    Raises StorageFault for a text that is no report.
    """
    good, bad = read_groups(text, _Vg, _Lv)
    return tuple(_group(vg, rows, pool, threshold_of) for vg, rows in good), tuple(bad)


def _group(vg: _Vg, rows: list[_Lv], pool: str, threshold_of: Callable[[str], int]) -> GroupSeen:
    lvs = list({row.lv_uuid: row for row in rows if row.lv_name}.values())
    ours = [(row, labels) for row in lvs if (labels := _labels(row)) is not None]
    pools_of_ours = {row.pool_lv for row, _ in ours} | {pool}
    return GroupSeen(
        name=vg.vg_name,
        size_bytes=vg.vg_size,
        free_bytes=vg.vg_free,
        extent_bytes=vg.vg_extent_size,
        volumes=vg.lv_count,
        mda_size_bytes=vg.vg_mda_size,
        mda_free_bytes=vg.vg_mda_free,
        disk_missing=vg.vg_attr[3:4] == "p",
        pools=tuple(
            _pool(vg.vg_name, row, threshold_of)
            for row in lvs
            if row.segtype == "thin-pool" and row.lv_name in pools_of_ours
        ),
        thick_seats=sum(
            1 for row, labels in ours if labels.role is Role.SEAT and row.segtype != "thin"
        ),
        asleep=tuple(
            row.lv_name for row, labels in ours if labels.role is Role.SEAT and not row.lv_active
        ),
        ours=any(has_tag_of_ours(row.lv_tags) for row in lvs),  # also one that cannot be read
        uuid=vg.vg_uuid,
        exported=vg.vg_attr[2:3] == "x",
        left_over=tuple(row.lv_name for row, labels in ours if labels.role is Role.FILLING),
    )


def _labels(row: _Lv) -> Labels | None:
    try:
        return labels_from_tags(row.lv_tags.split(","))
    except NotOurs:
        return None  # reported wherever classrooms are shown


def _pool(vg: str, row: _Lv, threshold_of: Callable[[str], int]) -> PoolSeen:
    return PoolSeen(
        vg=vg,
        name=row.lv_name,
        size_bytes=row.lv_size,
        metadata_bytes=row.lv_metadata_size,
        data_share=row.data_percent,
        metadata_share=row.metadata_percent,
        health=row.lv_health_status,
        check_needed=row.lv_check_needed in ("check needed", "1"),
        monitored=row.seg_monitor == "monitored",
        profile=row.lv_profile,
        threshold=threshold_of(row.lv_profile),
    )


def parse_version(text: str) -> Version:
    """``LVM version:     2.03.16(2) (2022-05-18)`` -> (2, 3, 16); empty when it cannot be read."""
    match = re.search(r"LVM version:\s*([0-9]+)\.([0-9]+)\.([0-9]+)", text)
    return tuple(map(int, match.groups())) if match else ()


def parse_settings(text: str) -> dict[str, str]:
    """``lvmconfig``'s lines ``key="value"``."""
    return dict(_pairs(text))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals:
            yield key, value.strip('"')


def parse_difference(text: str) -> dict[str, str]:
    """``lvmconfig --typeconfig diff`` -> ``{"log/command_names": "1"}``: a section, its lines."""
    found: dict[str, str] = {}
    section = ""
    for line in map(str.strip, text.splitlines()):
        key, equals, value = line.partition("=")
        if line.endswith("{"):
            section = line.removesuffix("{").strip()
        elif equals and section:
            found[f"{section}/{key}"] = value
    return found
