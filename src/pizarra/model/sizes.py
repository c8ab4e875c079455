"""Sizes: bytes inside, ``20G`` outside. Units are powers of 1024, as LVM's and QEMU's are."""

from __future__ import annotations

import re

from pizarra.errors import BadInput

KIB, MIB, GIB, TIB = (1024**power for power in (1, 2, 3, 4))
_UNITS = {"": 1, "K": KIB, "M": MIB, "G": GIB, "T": TIB}
_SIZE = re.compile(r"\s*([0-9]{1,7}(?:\.[0-9]{1,3})?)\s*(?:([KMGT])i?)?B?\s*", re.ASCII | re.I)


def parse_size(text: str) -> int:
    """``"2G"``, ``"2Gi"``, ``"512MiB"``, ``"1.5 T"`` -> bytes. Raises BadInput."""
    match = _SIZE.fullmatch(text)
    size_bytes = int(float(match[1]) * _UNITS[(match[2] or "").upper()]) if match else 0
    if size_bytes <= 0:
        raise BadInput(
            "{text!r} is not a size.", "Write a number and a unit: 512M, 20G.", text=text
        )
    return size_bytes


def size_text(size_bytes: int) -> str:
    """``"20 GiB"``, ``"1.5 MiB"``, ``"0 B"``: at most one decimal, none when it says nothing."""
    for name, unit in (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if size_bytes >= unit:
            return f"{size_bytes / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{size_bytes} B"


def round_up(size_bytes: int, step_bytes: int) -> int:
    """The least multiple of ``step_bytes`` that is not below ``size_bytes``."""
    return -(-size_bytes // step_bytes) * step_bytes
