"""Asks LVM: its version, its settings, one report of everything. Four processes, each limited."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pizarra.engine.fitness.facts import LvmSeen
from pizarra.engine.fitness.lvm_parsed import (
    LV_FIELDS,
    VG_FIELDS,
    parse_groups,
    parse_settings,
    parse_version,
)
from pizarra.errors import CommandFailed, CommandTimedOut, StorageFault
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


def look_at_lvm(pool: str) -> LvmSeen:
    """Raises HostNotFit (no LVM), CommandTimedOut, CommandFailed, StorageFault (not readable)."""
    settings = _read_settings()
    folder = Path(settings["archive_dir"])
    return LvmSeen(
        version=parse_version(_lvm("version", check=False)),  # 5 without device-mapper
        groups=parse_groups(_lvm(*_full_report()), pool, cache(_threshold_of)),
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
    wanted = (("vg", VG_FIELDS), ("seg", LV_FIELDS))
    unwanted = (("lv", "lv_name"), ("pv", "pv_name"), ("pvseg", "pv_name"))
    form = ["--reportformat", "json", "--units", "b", "--nosuffix"]
    chosen = (("--configreport", kind, "-o", these) for kind, these in (*wanted, *unwanted))
    return ["fullreport", *form, *(word for words in chosen for word in words)]


def _read_settings() -> dict[str, str]:
    """In force now, from LVM's files or by default; by the last part of their names."""
    found = parse_settings(_lvm("lvmconfig", "--typeconfig", "full", *_SETTINGS))
    missing = [name for name in _SETTINGS if name.rpartition("/")[2] not in found]
    if missing:
        raise StorageFault("lvmconfig does not tell {missing}.", missing=", ".join(missing))
    return found


def _threshold_of(profile: str) -> int:
    with_it = ["--metadataprofile", profile] if profile else []
    try:
        told = _lvm("lvmconfig", "--typeconfig", "full", *with_it, _THRESHOLD)
    except CommandTimedOut:
        raise
    except CommandFailed:
        if not profile:
            raise
        return _threshold_of("")  # a profile whose file is gone: LVM goes on without it
    return int(parse_settings(told)["thin_pool_autoextend_threshold"])
