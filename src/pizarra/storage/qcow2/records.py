"""Records of classrooms as files: ``classrooms/net.json`` in the folder of the images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from pizarra.errors import NotOurs
from pizarra.model.classroom_record import ClassroomRecord, record_parsed
from pizarra.model.facts import RecordSeen
from pizarra.model.sentence import join
from pizarra.storage.kinds import Kind
from pizarra.system.file_copies import write_atomically

CLASSROOMS = "classrooms"
_SUFFIX = ".json"


def record_path(folder: Path, classroom: str) -> Path:
    """Where the record of a classroom is."""
    return folder / CLASSROOMS / f"{classroom}{_SUFFIX}"


def write_record(folder: Path, record: ClassroomRecord) -> None:
    """Whole or not at all, and lasting. Raises OSError."""
    path = record_path(folder, record.classroom)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_atomically(path, json.dumps(record.to_dict(), indent=1) + "\n")


def records_seen(folder: Path) -> Iterator[RecordSeen]:
    """All records of a folder. Raises OSError."""
    files = (folder / CLASSROOMS).glob(f"[!.]*{_SUFFIX}")
    for path in sorted(files):
        classroom = path.name.removesuffix(_SUFFIX)
        try:
            record = _read(path, classroom)
        except NotOurs as error:
            yield _seen(folder, classroom, None, join([error]))
        else:
            yield _seen(folder, classroom, record)


def _seen(
    folder: Path, classroom: str, record: ClassroomRecord | None, fault: str | None = None
) -> RecordSeen:
    return RecordSeen(
        kind=Kind.QCOW2,
        place=str(folder),
        classroom=classroom,
        record=record,
        fault=fault,
    )


def _read(path: Path, classroom: str) -> ClassroomRecord:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise NotOurs("its record is not JSON: {why}", why=error) from None
    if not isinstance(raw, dict) or raw.get("classroom") != classroom:
        raise NotOurs("its record is that of another classroom")
    return record_parsed(raw)
