"""What is written on each volume that we make or adopt, and read back: there is no other database.

On LVM these are tags (``pizarra.role=seat``), on files a sidecar with the same keys. A volume
without ``pizarra.role`` is not ours. A volume with labels that cannot be read is ours *and*
damaged: it is reported and never written to.

Each role has its own class. The text is flat; ``format`` says how to read it. Labels of format 1
are read for good (``model/labels_1.py``) and written in the present format with the next change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar

from pizarra.errors import NotOurs
from pizarra.model import labels_1
from pizarra.model.classroom_record import (
    POLICY_KEYS,
    ClassroomRecord,
    policy_from_dict,
    policy_to_dict,
)
from pizarra.model.hardware import USUAL, Hardware
from pizarra.model.label_text import (
    FORMAT,
    Firmware,
    ResetMethod,
    plain_fields,
    plain_fields_parsed,
    plain_fields_to_dict,
    value_parsed,
)

__all__ = ["Firmware", "ResetMethod"]
PREFIX = "pizarra."
FORMAT_TAG = f"{PREFIX}format={FORMAT}"
IDENTITY = "identity"  # the checkpoint that a seat goes back to, once it has been given a name


class Role(StrEnum):
    """What a volume is for."""

    TEMPLATE = "template"
    MAINTENANCE = "maintenance"
    SEAT = "seat"
    BASELINE = "baseline"
    FILLING = "filling"
    CHECKPOINT = "checkpoint"
    INSPECTION = "inspection"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What the labels of every role have. ``disk`` is the disk's name in its machine: vda, vdb."""

    role: ClassVar[Role]
    disk: str = "vda"

    def to_dict(self) -> dict[str, str]:
        """All that is written, as texts; what has its default is left out."""
        return {"format": str(FORMAT), "role": str(self.role), **plain_fields_to_dict(self)}

    def to_tags(self) -> tuple[str, ...]:
        """``pizarra.key=value`` for each."""
        return tags_of(self.to_dict())


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateLabels(Labels):
    """A disk of a version of a template, sealed."""

    role = Role.TEMPLATE
    template: str
    version: int
    firmware: Firmware = Firmware.BIOS
    firmware_state: str = ""  # kept beside the machine's first disk: nvram, tpm, nvram+tpm
    hardware: Hardware = USUAL  # what the guest's system needs to boot
    persistent: bool = False  # a data disk: resets, upgrades and undo leave it as it is
    warm: bool = False  # classrooms made of this version get warm baselines


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceLabels(Labels):
    """A disk of the next version of a template, that is being changed in a machine of its own."""

    role = Role.MAINTENANCE
    template: str
    version: int
    firmware: Firmware = Firmware.BIOS
    firmware_state: str = ""
    hardware: Hardware = USUAL
    persistent: bool = False
    domain: str = ""  # UUID of the libvirt domain
    memory_bytes: int = 0
    vcpus: int = 0
    network: str = ""

    def as_template(self, *, warm: bool = False) -> TemplateLabels:
        """What is written when it is sealed: nothing is left of the machine."""
        return TemplateLabels(
            template=self.template,
            version=self.version,
            disk=self.disk,
            firmware=self.firmware,
            firmware_state=self.firmware_state,
            hardware=self.hardware,
            persistent=self.persistent,
            warm=warm,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatLabels(Labels):
    """A disk of a machine of a seat."""

    role = Role.SEAT
    classroom: str
    seat: int
    machine: str = ""  # of the seat, where it has several; empty for its only one
    domain: str = ""  # UUID of the libvirt domain
    name: str = ""  # of an adopted domain, when it is not <classroom>-<number>
    template: str = ""
    version: int = 0  # of the template, whose disk is the baseline
    content_version: int = 0  # of what is on the disk until the next reset, after an upgrade
    baseline: str = ""  # UUID of the volume that holds the original state
    firmware: Firmware = Firmware.BIOS
    firmware_state: str = ""  # kept beside the machine's first disk: nvram, tpm, nvram+tpm
    hardware: Hardware = USUAL  # what the guest's system needs to boot
    persistent: bool = False
    reset_method: ResetMethod = ResetMethod.REWIND
    record: ClassroomRecord | None = None  # while the classroom has none: it had format 1

    def to_dict(self) -> dict[str, str]:
        """A record that the seat carries is written with it: else it would be lost."""
        written = Labels.to_dict(self)
        if self.record is not None:
            sizes = plain_fields_to_dict(self.record)
            written |= {key: sizes[key] for key in _SIZES if key in sizes}
            written |= policy_to_dict(self.record.policy)
        return written


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineLabels(Labels):
    """The original state of an adopted disk, and all that is written on that disk when the
    adoption ends, but for ``baseline``."""

    role = Role.BASELINE
    of: SeatLabels

    def __post_init__(self) -> None:
        object.__setattr__(self, "disk", self.of.disk)

    def to_dict(self) -> dict[str, str]:
        """The seat's labels under this role."""
        return {**self.of.to_dict(), "role": str(self.role)}


@dataclass(frozen=True, slots=True, kw_only=True)
class FillingLabels(Labels):
    """A volume whose content is not whole yet, and what is written on it when it is."""

    role = Role.FILLING
    becoming: TemplateLabels | MaintenanceLabels | SeatLabels

    def __post_init__(self) -> None:
        object.__setattr__(self, "disk", self.becoming.disk)

    def to_dict(self) -> dict[str, str]:
        """The labels to come under this role; ``becomes`` says which theirs is."""
        coming = self.becoming
        return {**coming.to_dict(), "role": str(self.role), "becomes": str(coming.role)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointLabels(Labels):
    """A seat's disk as it was once, saved under a name."""

    role = Role.CHECKPOINT
    checkpoint: str  # its name
    saved_at: int  # in seconds since 1970
    ram_bytes: int = 0  # of the machine's RAM, saved with its first disk
    classroom: str
    seat: int
    machine: str = ""
    template: str = ""
    version: int = 0
    content_version: int = 0
    baseline: str = ""  # of the seat, then
    firmware: Firmware = Firmware.BIOS
    firmware_state: str = ""
    hardware: Hardware = USUAL
    memory_bytes: int = 0  # this and the next two: of the machine whose RAM it is
    vcpus: int = 0
    network: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionLabels(Labels):
    """A read-only snapshot that somebody looks at."""

    role = Role.INSPECTION
    classroom: str = ""
    seat: int = 0
    machine: str = ""
    name: str = ""


_SIZES = ("memory_bytes", "vcpus", "network")  # of a record that a seat carries
_PLAIN: Mapping[Role, type[Labels]] = {
    one.role: one for one in (TemplateLabels, MaintenanceLabels, CheckpointLabels, InspectionLabels)
}


def tags_of(texts: Mapping[str, str]) -> tuple[str, ...]:
    """``pizarra.key=value`` for each."""
    return tuple(f"{PREFIX}{key}={value}" for key, value in texts.items())


def has_tag_of_ours(tags: str) -> bool:
    """Whether any of these tags, with commas between, is ours; whatever it says."""
    return any(tag.startswith(PREFIX) for tag in tags.split(","))


def labels_from_tags(tags: Iterable[str]) -> Labels | None:
    """None when nothing of it is ours. Raises NotOurs when ours and not readable."""
    pairs = [tag.removeprefix(PREFIX).partition("=") for tag in tags if tag.startswith(PREFIX)]
    if not pairs:
        return None
    keys = [key for key, _, _ in pairs]
    if len(set(keys)) != len(keys):
        raise NotOurs("the tags {twice} stand there twice", twice=", ".join(sorted(keys)))
    return labels_from_dict({key: value for key, _, value in pairs})


def labels_from_dict(raw: Mapping[str, str]) -> Labels:
    """The inverse of ``to_dict``, of any format. Raises NotOurs, naming what cannot be read."""
    if "format" not in raw:
        raw = labels_1.translated(raw)
    texts = dict(raw)
    if value_parsed("format", texts.pop("format"), int) != FORMAT:
        raise NotOurs("the labels are of the format {format}", format=raw["format"])
    if "role" not in texts:
        raise NotOurs("the label role is missing")
    role = value_parsed("role", texts.pop("role"), Role)
    match role:
        case Role.SEAT:
            return _seat_parsed(texts)
        case Role.BASELINE:
            return BaselineLabels(of=_seat_parsed(texts))
        case Role.FILLING:
            return _filling_parsed(texts)
        case _:
            return _plain_parsed(_PLAIN[role], texts)


def _plain_parsed(cls: type[Labels], texts: Mapping[str, str]) -> Labels:
    _known_checked(texts, tuple(plain_fields(cls)))
    return cls(**plain_fields_parsed(cls, texts))


def _seat_parsed(texts: Mapping[str, str]) -> SeatLabels:
    carried = (*_SIZES, *POLICY_KEYS)
    _known_checked(texts, (*plain_fields(SeatLabels), *carried))
    seat = SeatLabels(**plain_fields_parsed(SeatLabels, texts))
    return replace(seat, record=_carried(seat, texts)) if set(carried) & texts.keys() else seat


def _carried(seat: SeatLabels, texts: Mapping[str, str]) -> ClassroomRecord | None:
    """The classroom's record as a seat of format 1 has it; None when that cannot be read."""
    told = {key: texts[key] for key in _SIZES if key in texts}
    told |= {"classroom": seat.classroom, "template": seat.template, "version": str(seat.version)}
    try:
        fields = plain_fields_parsed(ClassroomRecord, told)
        return ClassroomRecord(**fields, policy=policy_from_dict(texts))
    except NotOurs:
        return None


def _filling_parsed(texts: dict[str, str]) -> FillingLabels:
    becomes = value_parsed("becomes", texts.pop("becomes", None), Role)
    match labels_from_dict({"format": str(FORMAT), "role": becomes, **texts}):
        case (TemplateLabels() | MaintenanceLabels() | SeatLabels()) as coming:
            return FillingLabels(becoming=coming)
        case _:
            raise NotOurs("the label {key} says {value!r}", key="becomes", value=str(becomes))


def firmware_state_of(labels: Labels | None) -> str:
    """What is kept beside a volume of its machine's firmware and TPM: "", nvram, tpm, nvram+tpm."""
    match labels:
        case TemplateLabels() | MaintenanceLabels() | SeatLabels() | CheckpointLabels():
            return labels.firmware_state
        case BaselineLabels():
            return labels.of.firmware_state
        case FillingLabels():
            return labels.becoming.firmware_state
        case _:
            return ""


def version_labels_of(labels: Labels | None) -> TemplateLabels | MaintenanceLabels | None:
    """The labels of the version of a template that a volume is a disk of, or becomes one of."""
    coming = labels.becoming if isinstance(labels, FillingLabels) else labels
    return coming if isinstance(coming, TemplateLabels | MaintenanceLabels) else None


def seat_labels_of(labels: Labels | None) -> SeatLabels | None:
    """The labels of the seat that a volume is a disk of, becomes one of, or is the original of."""
    match labels:
        case SeatLabels():
            return labels
        case BaselineLabels():
            return labels.of
        case FillingLabels(becoming=SeatLabels() as coming):
            return coming
        case _:
            return None


def _known_checked(texts: Mapping[str, str], known: tuple[str, ...]) -> None:
    for key in texts:
        if key not in known:
            raise NotOurs("the label {key!r} is not one of ours", key=key)
