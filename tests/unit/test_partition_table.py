"""The partitions of disks of anybody."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pizarra.model.sizes import MIB
from pizarra.system.partition_table import Span, partition_spans


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.truncate(32 * MIB)
    return path


def divide(disk: Path, *lines: str) -> None:
    text = "\n".join(lines) + "\n"
    subprocess.run(["sfdisk", "-q", disk], input=text, text=True, check=True)


def test_spans_when_there_is_no_table_then_none(disk: Path) -> None:
    assert partition_spans(disk) is None


def test_spans_when_there_are_two_partitions_then_both_in_bytes(disk: Path) -> None:
    divide(disk, "label: gpt", "start=2048,size=2048", "start=8192,size=4096")
    assert partition_spans(disk) == (Span(MIB, MIB), Span(4 * MIB, 2 * MIB))


@pytest.mark.parametrize("name", ['a"b', "a\\b", "\u00e9\u00e8", "a\tb", "\x01"])
def test_spans_when_a_partition_has_a_name_that_breaks_json_then_no_traceback(
    disk: Path, name: str
) -> None:
    divide(disk, "label: gpt", "start=2048,size=2048")
    subprocess.run(["sfdisk", "-q", "--part-label", disk, "1", name], check=True)
    assert partition_spans(disk) in (None, (Span(MIB, MIB),))


def test_spans_when_the_disk_was_cut_off_then_what_is_behind_its_end_is_left_out(
    disk: Path,
) -> None:
    divide(disk, "label: dos", "start=2048,size=2048", "start=40960,size=4096")
    with disk.open("r+b") as file:
        file.truncate(8 * MIB)
    assert partition_spans(disk) == (Span(MIB, MIB), Span(0, 0))
