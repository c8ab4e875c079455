"""The names of the storage backends that come with Pizarra. Only drivers and tests say them.

Everybody else has a name from a volume, or from the registry, and asks what that backend can do.
"""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """As the option ``--storage`` and JSON say it."""

    LVM_THIN = "lvm-thin"
    LVM_THICK = "lvm-thick"
    QCOW2 = "qcow2"
    MEMORY = "memory"  # for tests
