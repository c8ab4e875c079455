"""LVM's version, settings, volume groups and pools: three processes, each with a limit.

Field names: lvs(8), vgs(8), lvmreport(7); settings: lvm.conf(5), lvmconfig(8).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from pizarra.engine.fitness.facts import GroupSeen, LvmSeen, PoolSeen, Version
from pizarra.errors import NotOurs, StorageFault
from pizarra.model.labels import Labels, Role, Way, labels_from_tags
from pizarra.system.process import run

LIMIT_S = 30  # LVM waits behind whoever holds its lock; so long is a finding
_THRESHOLD = "activation/thin_pool_autoextend_threshold"
_SETTINGS = (
    "activation/snapshot_autoextend_threshold",
    "activation/monitoring",
    "backup/archive_dir",
    "backup/retain_min",
    "backup/retain_days",
)
_VG = "vg_name,vg_size,vg_free,vg_extent_size,vg_attr,lv_count,vg_mda_size,vg_mda_free"
_LV = (
    "lv_name,lv_uuid,lv_attr,lv_size,lv_tags,pool_lv,segtype,data_percent,metadata_percent,"
    "lv_metadata_size,lv_health_status,lv_check_needed,lv_profile,seg_monitor"
)
_MISSING = ("", "-1")
_Number = Annotated[int, BeforeValidator(lambda raw: 0 if raw in _MISSING else raw)]
_Share = Annotated[
    float | None, BeforeValidator(lambda raw: None if raw in _MISSING else float(raw) / 100)
]


class _Vg(BaseModel):
    vg_name: str
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
    lv_attr: str
    lv_size: int
    lv_tags: str
    pool_lv: str
    segtype: str
    data_percent: _Share
    metadata_percent: _Share
    lv_metadata_size: _Number
    lv_health_status: str
    lv_check_needed: str
    lv_profile: str
    seg_monitor: str


class _Group(BaseModel):
    vg: list[_Vg]
    seg: list[_Lv] = []


class _Report(BaseModel):
    report: list[_Group] = Field(default_factory=list)


def lvm_seen(pool: str) -> LvmSeen:
    """Raises HostNotFit (no LVM), CommandTimedOut, CommandFailed, StorageFault (not readable)."""
    settings = _settings_read()
    folder = Path(settings["archive_dir"])
    return LvmSeen(
        version=version_parsed(_lvm("version", check=False)),
        groups=groups_parsed(_lvm(*_full_report()), pool, _threshold_of),
        snapshot_threshold=int(settings["snapshot_autoextend_threshold"]),
        monitoring=settings["monitoring"] == "1",
        retain_min=int(settings["retain_min"]),
        retain_days=int(settings["retain_days"]),
        archive_folder=str(folder),
        archive_files=sum(1 for _ in folder.glob("*.vg")),
    )


def _lvm(*argv: str, check: bool = True) -> str:
    return run(["lvm", *argv], timeout_s=LIMIT_S, check=check).stdout


def _full_report() -> list[str]:
    unwanted = (("lv", "lv_name"), ("pv", "pv_name"), ("pvseg", "pv_name"))
    wanted = (("vg", _VG), ("seg", _LV))
    chosen = [
        part for kind, of_it in (*wanted, *unwanted) for part in ("--configreport", kind, "-o", of_it)
    ]
    return ["fullreport", "--reportformat", "json", "--units", "b", "--nosuffix", *chosen]


def version_parsed(text: str) -> Version:
    """``LVM version:     2.03.16(2) (2022-05-18)`` -> (2, 3, 16); empty when it cannot be read."""
    match = re.search(r"LVM version:\s*([0-9]+)\.([0-9]+)\.([0-9]+)", text)
    return tuple(map(int, match.groups())) if match else ()


def _settings_read() -> dict[str, str]:
    """In force now: from the files, or LVM's defaults; by the last part of their names."""
    found = settings_parsed(_lvm("lvmconfig", "--typeconfig", "full", *_SETTINGS))
    missing = [name for name in _SETTINGS if name.rpartition("/")[2] not in found]
    if missing:
        raise StorageFault("lvmconfig does not tell {missing}.", missing=", ".join(missing))
    return found


def settings_parsed(text: str) -> dict[str, str]:
    """``key="value"`` lines."""
    pairs = (line.strip().partition("=") for line in text.splitlines() if "=" in line)
    return {key: value.strip('"') for key, _, value in pairs}


def _threshold_of(profile: str) -> int:
    with_it = ["--metadataprofile", profile] if profile else []
    done = _lvm("lvmconfig", "--typeconfig", "full", *with_it, _THRESHOLD)
    return int(settings_parsed(done)["thin_pool_autoextend_threshold"])


class _Thresholds(dict[str, int]):
    """By profile; each asked for once."""

    def __missing__(self, profile: str) -> int:
        self[profile] = _threshold_of(profile)
        return self[profile]
