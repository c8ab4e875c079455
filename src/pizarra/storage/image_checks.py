"""What a file is that is no whole image, judged by what was read of it. Pure: nothing is opened.

Sources: docs/interop of QEMU, block/vdi.c, the UEFI specification (GPT), ECMA-119 (ISO 9660), the
lists of signatures of file(1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from pydantic import BaseModel, Field

from pizarra.model.sentence import N_, P_, Counted, Sentence
from pizarra.model.sizes import KIB, size_text

START_BYTES = 64 * KIB  # what the functions here want to see of a file's beginning
SECTOR_BYTES = 512
AGAIN = N_("Download or copy it again, and compare its checksum with the one of its source.")
_INSTALL = N_(
    "Install a system from it in a machine of libvirt, and import that: "
    "pizarra template import NAME --from-domain MACHINE"
)
_UNPACK = N_("Unpack it first, with: {command}")
_CONVERT = N_("Convert it with the program that wrote it, to qcow2, vmdk, vdi, vhdx or raw.")
_PACKERS: Mapping[bytes, tuple[str, str]] = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"\xfd7zXZ\0": ("xz", "xz -d"),
    b"\x28\xb5\x2f\xfd": ("zstd", "zstd -d"),
    b"\x04\x22\x4d\x18": ("lz4", "lz4 -d"),
    b"BZh": ("bzip2", "bunzip2"),
    b"PK\x03\x04": ("zip", "unzip"),
    b"7z\xbc\xaf\x27\x1c": ("7z", "7z x"),
    b"Rar!": ("rar", "unrar x"),
}
_FORMATS: Mapping[bytes, str] = {
    b"QED\0": "qed",
    b"WithoutFreeSpace": "Parallels",
    b"WithouFreSpacExt": "Parallels",
    b"Bochs Virtual HD Image": "Bochs",
    b"MSWIM\0\0\0": "WIM",
    b"partclone-image": "Partclone",
    b"hsqs": "SquashFS",
}
_ISO_AT, _ISO = 0x8001, (b"CD001", b"BEA01")  # ISO 9660, UDF
_VHDX_REGIONS_AT, _VHDX_BAT_BYTES_MAX, _VHDX_PRESENT = 192 * KIB, 1024 * KIB, 6
_VHDX_BAT = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08").bytes_le
_VHDX_METADATA = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le
_VHDX_PARAMETERS = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le
_PAGES = (b"<!doctype", b"<html", b"<?xml", b"<head")
_OF_FILE_SYSTEMS = (b"NTFS", b"FAT", b"EXFAT")  # in a boot sector that has no partition table


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a file is not imported, and what to do, both as texts over ``facts``."""

    why: str
    hint: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)


class CheckReport(BaseModel):
    """What we read of ``qemu-img check --output=json``."""

    errors: int = Field(alias="check-errors")
    corruptions: int = 0


def signature_fault(start: bytes) -> Fault | None:
    """What a file that looks like no format of ours is instead; None when nobody knows it."""
    for magic, (name, command) in _PACKERS.items():
        if start.startswith(magic):
            why = Sentence("it is packed with {name}", name=name)
            return Fault(why=why, hint=_UNPACK, facts={"command": command})
    if start[257:262] == b"ustar":
        return _archive_fault(start)
    for magic, name in _FORMATS.items():
        if start.startswith(magic):
            return Fault(why=Sentence("it is of the format {name}", name=name), hint=_CONVERT)
    if start[_ISO_AT : _ISO_AT + 5] in _ISO:
        return Fault(why=N_("it is the image of a CD or DVD (ISO), not of a disk"), hint=_INSTALL)
    text = start[:2048].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if text.startswith(b"<?xml") and b"ovf" in text:
        hint = N_("Import the disk that it names, a file beside it.")
        return Fault(why=N_("it is an OVF, which only describes a machine"), hint=hint)
    if text.startswith(_PAGES):
        return Fault(why=N_("it is a web page or another text, not an image"), hint=AGAIN)
    return None


def _archive_fault(start: bytes) -> Fault:
    if start[:100].rstrip(b"\0").lower().endswith((b".ovf", b".mf")):
        why = N_("it is an OVA, an archive with a machine in it")
        return Fault(why=why, hint=N_("Unpack it with tar -xf, and import the disk that is in it."))
    hint = N_("Unpack it and import a disk that is in it.")
    return Fault(why=N_("it is an archive"), hint=hint)


def length_fault(form: str, start: bytes, size_bytes: int, end: bytes) -> Fault | None:
    """Whether a file ends before what its beginning describes; ``end`` is its last sector."""
    match form:
        case "vdi":
            needs = _vdi_end(start)
        case "vpc":  # all but its last sector, if that is missing
            needs = size_bytes if end.startswith(b"conectix") else size_bytes + SECTOR_BYTES
        case "raw":
            needs = _partitions_end(start)
        case _:
            needs = 0
    return cut_off_fault(needs, size_bytes) if needs > size_bytes else None


def vhdx_end(read: Callable[[int, int], bytes]) -> int:
    """Where the last block of a VHDX ends that its table (BAT) names; 0 when no table is found.

    ``read`` gives the bytes of the file at an offset. [MS-VHDX], 2.2.3 and 2.5.
    """
    regions = _guid_entries(read(_VHDX_REGIONS_AT, 64 * KIB), 16, 8, 8)
    metadata_at, table_at = regions.get(_VHDX_METADATA, 0), regions.get(_VHDX_BAT, 0)
    if not metadata_at or not table_at:
        return 0
    items = _guid_entries(read(metadata_at, 64 * KIB), 32, 10, 4)
    block_bytes = _word(read(metadata_at + items.get(_VHDX_PARAMETERS, 0), 4), 0)
    table = read(table_at, _VHDX_BAT_BYTES_MAX)
    blocks = (_word(table, at, 8) for at in range(0, len(table) - 7, 8))
    present = [one >> 20 << 20 for one in blocks if one & 7 == _VHDX_PRESENT]
    return max(present) + block_bytes if present else 0


def _guid_entries(table: bytes, begin: int, count_at: int, length: int) -> dict[bytes, int]:
    """The offset of each entry of 32 bytes, by its GUID; ``length`` is that of an offset."""
    count = _word(table, count_at, 2)
    places = range(begin, begin + 32 * count, 32)
    return {table[at : at + 16]: _word(table, at + 16, length) for at in places}


def cut_off_fault(needs_bytes: int, size_bytes: int) -> Fault:
    """The fault of a file that is shorter than its content."""
    text = N_("it is cut off: its content ends at {needs}, and the file at {has}")
    needs, has = size_text(needs_bytes), size_text(size_bytes)
    if needs == has:
        needs, has = f"{needs_bytes} B", f"{size_bytes} B"
    return Fault(why=Sentence(text, needs=needs, has=has), hint=AGAIN)


def check_fault(said: str) -> Fault | None:
    """Judge the JSON of ``qemu-img check``. Clusters that nothing uses (leaks) do no harm."""
    report = CheckReport.model_validate_json(said)
    if not report.errors and not report.corruptions:
        return None
    n = max(report.errors, report.corruptions)
    hint = N_(
        "Download or copy it again. If it is the only one, try to mend a copy of it: "
        "qemu-img check -r all {path}"
    )
    forms = P_(
        "it is damaged: qemu-img check finds {n} error",
        "it is damaged: qemu-img check finds {n} errors",
    )
    return Fault(why=Sentence(Counted(n, *forms), n=n), hint=hint)


def _word(data: bytes, at: int, length: int = 4) -> int:
    return int.from_bytes(data[at : at + length], "little")


def _vdi_end(start: bytes) -> int:
    """struct VdiHeader of block/vdi.c: where data begins, a block's size, how many there are."""
    data_at, block_bytes, extra_bytes = (
        _word(start, 0x158),
        _word(start, 0x178),
        _word(start, 0x17C),
    )
    return data_at + _word(start, 0x184) * (block_bytes + extra_bytes)


def _partitions_end(start: bytes) -> int:
    """The end of the last partition of a raw disk, or of its second GPT; 0 without a table."""
    for sector_bytes in (SECTOR_BYTES, 4096):
        if start[sector_bytes : sector_bytes + 8] == b"EFI PART":
            return (_word(start, sector_bytes + 32, 8) + 1) * sector_bytes
    return max(_mbr_ends(start), default=0)


def _mbr_ends(start: bytes) -> Iterator[int]:
    """Of each partition of an MBR. The boot sector of a file system has the same signature."""
    table = start[446:510]
    entries = [table[at : at + 16] for at in range(0, 64, 16)]
    is_plain = start[510:512] == b"\x55\xaa" and all(one[0] in (0, 0x80) for one in entries)
    if not is_plain or any(name in start[:96].upper() for name in _OF_FILE_SYSTEMS):
        return
    for one in entries:
        if one[4] not in (0, 0xEE) and _word(one, 8) and _word(one, 12):
            yield (_word(one, 8) + _word(one, 12)) * SECTOR_BYTES
