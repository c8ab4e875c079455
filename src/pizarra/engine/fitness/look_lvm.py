"""Asks LVM: its version, its settings, a report of everything. A few processes, each limited."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from pizarra.engine.fitness.facts import LostDisk, LvmSeen
from pizarra.engine.fitness.lvm_parsed import (
    LV_FIELDS,
    VG_FIELDS,
    parse_difference,
    parse_groups,
    parse_settings,
    parse_version,
)
from pizarra.errors import CommandFailed, CommandTimedOut, StorageFault
from pizarra.system import lvm_calls
from pizarra.system.process import Completed, failure_of, run

LIMIT_S = 30  # LVM waits behind whoever holds its lock; so long is a finding
_THRESHOLD = "activation/thin_pool_autoextend_threshold"
_SETTINGS = (
    "activation/snapshot_autoextend_threshold",
    "activation/monitoring",
    "backup/archive_dir",
    "backup/backup_dir",
    "backup/retain_min",
    "backup/retain_days",
)
_UNKNOWN = "[unknown]"  # LVM's name for a group whose metadata it cannot read


def look_at_lvm(pool: str) -> LvmSeen:
    """Raises HostNotFit (no LVM), CommandTimedOut, CommandFailed, StorageFault (not readable)."""
    settings = _read_settings()
    folder = Path(settings["archive_dir"])
    told = _report(lvm_calls.full_report(VG_FIELDS, LV_FIELDS))
    groups, unreadable = parse_groups(told.stdout, pool, cache(_threshold_of))
    disks = _report(lvm_calls.report("pvs", "pv_name,pv_uuid,vg_name"))
    return LvmSeen(
        version=parse_version(_lvm("version", check=False)),  # 5 without device-mapper
        groups=groups,
        snapshot_threshold=int(settings["snapshot_autoextend_threshold"]),
        monitoring=settings["monitoring"] == "1",
        retain_min=int(settings["retain_min"]),
        retain_days=int(settings["retain_days"]),
        archive_folder=str(folder),
        archive_files=sum(1 for _ in folder.glob("*.vg")),
        settings=parse_difference(_lvm("lvmconfig", "--typeconfig", "diff", check=False)),
        complaints=_complaints(told, disks),
        partly=told.returncode != 0,
        unreadable=unreadable,
        loose_disks=tuple(_disks_by_uuid(disks.stdout, "").values()),
        lost_disks=tuple(
            LostDisk(path=path, copy=_copy_of(uuid, Path(settings["backup_dir"])))
            for uuid, path in _disks_by_uuid(disks.stdout, _UNKNOWN).items()
        ),
    )


def _lvm(*argv: str, check: bool = True) -> str:
    return run(["lvm", *argv], timeout_s=LIMIT_S, check=check).stdout


def _report(argv: Sequence[str]) -> Completed:
    """One that LVM could not end well tells of the rest all the same. Raises CommandFailed."""
    done = run(lvm_calls.pinned(argv), timeout_s=LIMIT_S, check=False)
    if done.returncode not in (0, lvm_calls.PARTLY) or not done.stdout.strip():
        raise failure_of(done)
    return done


def _complaints(*reports: Completed) -> tuple[str, ...]:
    lines = (line.strip() for done in reports for line in done.stderr.splitlines())
    return tuple(dict.fromkeys(line for line in lines if line))


def _disks_by_uuid(text: str, group: str) -> dict[str, str]:
    """The paths of the disks of a volume group of this name."""
    rows = lvm_calls.rows(text)
    return {row["pv_uuid"]: row["pv_name"] for row in rows if row["vg_name"] == group}


def _copy_of(disk_uuid: str, backups: Path) -> Path | None:
    """The copy of the metadata of a disk's group."""
    for copy in sorted(backups.glob("*")):
        with suppress(OSError, UnicodeDecodeError):
            if disk_uuid in copy.read_text(encoding="utf-8"):
                return copy
    return None


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
