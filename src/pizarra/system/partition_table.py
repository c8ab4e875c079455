"""Where the partitions of a disk are, by sfdisk(8) in a jail: it may be a hostile guest's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ValidationError

from pizarra.system.disk_program import run_on_disk


class Span(NamedTuple):
    """A part of a disk, in bytes."""

    start: int
    length: int


class _Partition(BaseModel):
    start: int
    size: int


class _Table(BaseModel):
    sectorsize: int = 512
    partitions: list[_Partition] = []


class _Answer(BaseModel):
    partitiontable: _Table


def partition_spans(disk: Path) -> tuple[Span, ...] | None:
    """In the order of the table, with (0, 0) for one that cannot be on the disk; None for a disk
    without a table that sfdisk understands."""
    told = run_on_disk(["sfdisk", "--json", "{disk}"], disk)
    try:
        table = _Answer.model_validate_json(told.stdout).partitiontable
    except ValidationError:
        return None
    with disk.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
    spans = (Span(one.start * table.sectorsize, one.size * table.sectorsize)
             for one in table.partitions)  # fmt: skip
    return tuple(one if _is_inside(one, end) else Span(0, 0) for one in spans)


def _is_inside(span: Span, end: int) -> bool:
    return 0 < span.length <= end and 0 < span.start < end
