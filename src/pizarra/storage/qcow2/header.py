"""The metadata of a qcow2 file, read without a process and without reading data.

Source: docs/interop/qcow2.txt of QEMU. Nothing here writes. A file that cannot be read as qcow2
raises ValueError; whose fault that is, the caller knows.
"""

from __future__ import annotations

import os
import stat
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pizarra.model.sentence import N_

MAGIC = b"QFI\xfb"
_START = struct.Struct(">4sIQIIQIIQQIIQ")
_VERSION_3 = struct.Struct(">QQQII")
_EXTENSION = struct.Struct(">II")
_BACKING_FORMAT = 0xE2792ACA
_CORRUPT, _DATA_FILE, _EXTENDED_L2 = 1 << 1, 1 << 2, 1 << 4
_OFFSET = 0x00FF_FFFF_FFFF_FE00  # of an entry of an L1 or L2 table
_COMPRESSED = 1 << 62  # in an entry of an L2 table
_HEADER_BYTES_MAX = 64 * 1024
SECTOR_BYTES = 512  # the least cluster, and what tables are aligned to
_ENTRIES_MAX = 1 << 26  # of L2 tables, in one look: 4 TiB in clusters of 64 KiB
_L1_ENTRIES_MAX = 32 * 1024 * 1024 // 8


class CutOff(ValueError):
    """The file ends before what it says that it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the first cluster says."""

    version: int
    size_bytes: int
    cluster_bytes: int
    backing: str  # as it stands there; empty when there is none
    backing_format: str
    snapshots: int  # internal ones
    corrupt: bool
    data_file: bool  # the data is in another file
    extended_l2: bool
    l1_entries: int
    l1_offset: int


def parse_header(data: bytes) -> Header:
    """The first 64 KiB of a file, or all of it when it is smaller. Raises ValueError."""
    if not data.startswith(MAGIC):
        raise ValueError("it is no qcow2 image")
    try:
        return _parse(data)
    except struct.error:
        raise CutOff(N_("its header is cut off")) from None


def _parse(data: bytes) -> Header:
    start = _START.unpack_from(data)
    version, backing_offset, backing_bytes, cluster_bits, size_bytes = start[1:6]
    if version not in (2, 3) or not 9 <= cluster_bits <= 21:
        raise ValueError(f"it is of qcow2 version {version} with {cluster_bits} cluster bits")
    if start[7] > _L1_ENTRIES_MAX:
        raise ValueError("its L1 table is too large")
    bits, header_bytes = 0, _START.size
    if version == 3:
        bits, _, _, _, header_bytes = _VERSION_3.unpack_from(data, _START.size)
    backing = data[backing_offset : backing_offset + backing_bytes] if backing_offset else b""
    if backing_offset and len(backing) != backing_bytes:
        raise CutOff(N_("its header is cut off"))
    extensions = dict(_extensions(data[: backing_offset or None], header_bytes))
    return Header(
        version=version,
        size_bytes=size_bytes,
        cluster_bytes=1 << cluster_bits,
        backing=os.fsdecode(backing),
        backing_format=extensions.get(_BACKING_FORMAT, b"").decode("ascii", "replace"),
        snapshots=start[11],
        corrupt=bool(bits & _CORRUPT),
        data_file=bool(bits & _DATA_FILE),
        extended_l2=bool(bits & _EXTENDED_L2),
        l1_entries=start[7],
        l1_offset=start[8],
    )


def _extensions(data: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    while offset + _EXTENSION.size <= len(data):
        kind, length = _EXTENSION.unpack_from(data, offset)
        if not kind:
            return
        offset += _EXTENSION.size
        yield kind, data[offset : offset + length]
        offset += length + -length % 8


def open_file(path: Path) -> BinaryIO:
    """Open a regular file or a block device for reading. Raises OSError, ValueError."""
    # a FIFO would hold us until somebody writes
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(fd).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
        os.close(fd)
        raise ValueError("it is neither a file nor a block device")
    return os.fdopen(fd, "rb", buffering=0)


def read_header(path: Path) -> Header:
    """Raises OSError, ValueError."""
    with open_file(path) as file:
        return parse_header(file.read(_HEADER_BYTES_MAX))


def allocated_bytes(path: Path) -> int:
    """What an overlay holds of its own, in whole clusters; 0: all of it is its backing file's.

    Reads the L1 table and the L2 tables that it names: 64 KiB for each 512 MiB that were touched.
    Raises OSError, ValueError.
    """
    with open_file(path) as file:
        header = parse_header(file.read(_HEADER_BYTES_MAX))
        if header.corrupt or header.data_file or header.extended_l2:
            raise ValueError("it is corrupt, or of a form that is not made here")
        count = header.cluster_bytes // 8  # entries of an L2 table
        if header.l1_entries * count * header.cluster_bytes < header.size_bytes:
            raise ValueError("its L1 table is too small for its size")
        level_1 = _entries(file, header.l1_offset, header.l1_entries)
        if not any(level_1):
            return 0
        offsets = [entry & _OFFSET for entry in level_1 if entry & _OFFSET]
        used = sum(count - _entries(file, offset, count).count(0) for offset in offsets)
        return used * header.cluster_bytes


def needed_bytes(file: BinaryIO) -> int:
    """Where the last cluster ends that the tables of an image name: a shorter file was cut off.

    Snapshots inside are left out, and tables of more clusters than any real image has. Raises
    OSError, ValueError.
    """
    header = parse_header(os.pread(file.fileno(), _HEADER_BYTES_MAX, 0))
    level_1 = _entries(file, header.l1_offset, header.l1_entries) if header.l1_entries else ()
    words = 2 if header.extended_l2 else 1  # of an entry; the second is a bitmap
    count = header.cluster_bytes // 8
    ends = [header.cluster_bytes]
    offsets = sorted({entry & _OFFSET for entry in level_1} - {0})  # a hostile L1 repeats one
    for offset in offsets[-max(1, _ENTRIES_MAX // count) :]:
        entries = _entries(file, offset, count)[::words]
        ends.append(offset + header.cluster_bytes)
        ends.append(max(_cluster_end(entry, header.cluster_bytes) for entry in entries))
    return max(ends)


def _cluster_end(entry: int, cluster_bytes: int) -> int:
    """Where the data of an entry of an L2 table ends in the file; 0 when it has none there."""
    if not entry & _COMPRESSED:
        offset = entry & _OFFSET
        return offset + cluster_bytes if offset else 0
    shift = 62 - (cluster_bytes.bit_length() - 1 - 8)
    offset, sectors = entry & ((1 << shift) - 1), (entry & (_COMPRESSED - 1)) >> shift
    return offset - offset % SECTOR_BYTES + (sectors + 1) * SECTOR_BYTES


def _entries(file: BinaryIO, offset: int, count: int) -> array[int]:
    inside = offset < _OFFSET and not offset % SECTOR_BYTES and offset > 0
    table = array("Q", os.pread(file.fileno(), count * 8, offset) if inside else b"")
    if len(table) != count:
        raise CutOff(N_("one of its tables is cut off"))
    table.byteswap()  # big-endian in the file; we are an x86 project
    return table
