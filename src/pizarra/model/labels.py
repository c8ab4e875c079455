"""What we write on each volume that we make or adopt, and read back: there is no other database.

On LVM these are tags (``pizarra.role=seat``), on files a sidecar with the same keys. A volume
without ``pizarra.role`` is not ours. A volume with labels that do not parse is ours *and* damaged:
it is reported and never written to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum

from pizarra.errors import NotOurs

PREFIX = "pizarra."
IDENTITY = "identity"  # the checkpoint that a seat goes back to, once it has been given a name


class Role(StrEnum):
    """What a volume is for."""

    TEMPLATE = "template"
    MAINTENANCE = "maintenance"  # the next version of a template, being changed in its machine
    SEAT = "seat"
    BASELINE = "baseline"  # an adopted seat's own original state
    FILLING = "filling"  # an import or a move that has not ended: recover removes it
    CHECKPOINT = "checkpoint"  # a seat's state, saved under a name
    INSPECTION = "inspection"  # a read-only snapshot that somebody looks at


class Way(StrEnum):
    """How a seat's volume goes back to its baseline."""

    REWIND = "rewind"
    MERGE = "merge"  # the 2014 way: an adopted classic LV, its snapshot merged and made again


class Firmware(StrEnum):
    """What boots the guest."""

    BIOS = "bios"
    UEFI = "uefi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The labels of one volume. Which are set depends on ``role``."""

    role: Role
    template: str = ""
    version: int = 0
    still: int = 0  # the version of its content until its next reset, after an upgrade
    disk: str = "vda"
    firmware: Firmware = Firmware.BIOS
    persistent: int = 0  # 1: a data disk, which stays as it is through resets, upgrades and undo
    warm: int = 0  # 1: classrooms made of this version get warm baselines
    state: str = ""  # what goes back beside this disk, the machine's first: nvram, tpm, nvram+tpm
    classroom: str = ""
    seat: int = 0
    domain: str = ""  # UUID of the libvirt domain that is the seat
    name: str = ""  # of an adopted domain, when it is not <classroom>-<number>
    baseline: str = ""  # UUID of the volume that holds the original state
    way: Way = Way.REWIND
    memory_bytes: int = 0
    vcpus: int = 0
    network: str = ""
    after: str = ""  # after, modes, reset_by, undo_hours, minutes: model/policy.py
    modes: str = ""
    reset_by: str = ""
    undo_hours: str = ""
    minutes: int = 0
    checkpoint: str = ""  # the name of a saved state
    saved: int = 0  # when, in seconds since 1970
    ram: int = 0  # bytes of the machine's RAM, saved with this disk, its first

    def to_tags(self) -> tuple[str, ...]:
        """``pizarra.key=value`` for each label that says something, in field order."""
        return tuple(f"{PREFIX}{key}={value}" for key, value in self.to_dict().items())

    def to_dict(self) -> dict[str, str]:
        """The labels that differ from their default, as strings; ``role`` always."""
        return {
            field.name: str(getattr(self, field.name))
            for field in fields(self)
            if field.name == "role" or getattr(self, field.name) != field.default
        }

    def but(self, **changes: object) -> Labels:
        """A copy with some labels changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


def labels_from_tags(tags: Iterable[str]) -> Labels | None:
    """None when nothing of it is ours. Raises NotOurs when ours and not readable."""
    pairs = [tag.removeprefix(PREFIX).partition("=") for tag in tags if tag.startswith(PREFIX)]
    if not pairs:
        return None
    keys = [key for key, _, _ in pairs]
    if len(set(keys)) != len(keys):
        raise NotOurs("the tags {twice} stand there twice", twice=", ".join(sorted(keys)))
    return labels_from_dict({key: value for key, _, value in pairs})


_TYPES = {field.name: field for field in fields(Labels)}
_ENUMS = {"role": Role, "firmware": Firmware, "way": Way}
_NUMBERS = {
    "persistent",
    "warm",
    "version",
    "still",
    "seat",
    "memory_bytes",
    "vcpus",
    "minutes",
    "saved",
    "ram",
}


def labels_from_dict(raw: Mapping[str, str]) -> Labels:
    """The inverse of ``to_dict``. Raises NotOurs, naming the label that cannot be read."""
    values: dict[str, object] = {}
    for key, text in raw.items():
        if key not in _TYPES:
            raise NotOurs("the label {key!r} is not one of ours", key=key)
        try:
            values[key] = _parse_value(key, text)
        except ValueError:
            raise NotOurs("the label {key} says {value!r}", key=key, value=text) from None
    if "role" not in values:
        raise NotOurs("the label role is missing")
    return Labels(**values)  # type: ignore[arg-type]


def _parse_value(key: str, text: str) -> object:
    if not isinstance(text, str):
        raise ValueError(key)
    if key in _ENUMS:
        return _ENUMS[key](text)
    return int(text) if key in _NUMBERS else text
