"""What is said once for a classroom: it stands once where its seats are, not on each seat.

On LVM the record is a tag of the volume group, in a folder of images a file. What is of one seat
(its baseline, its version, its libvirt domain) stays on the volumes of that seat.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from pizarra.errors import BadInput, NotOurs
from pizarra.model.label_text import (
    FORMAT,
    plain_fields,
    plain_fields_parsed,
    plain_fields_to_dict,
    value_parsed,
)
from pizarra.model.outcome import Mode
from pizarra.model.policy import WEIGHT_USUAL, After, AfterBoot, ChangedHardware, Policy, ResetBy

POLICY_KEYS = (
    "power_after_reset",
    "modes",
    "reset_by",
    "undo_hours",
    "minutes",
    "changed_hardware",
    "growth_bytes",
    "weight",
    "nested",
    "after_boot",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassroomRecord:
    """One classroom. ``template`` is empty and the sizes are of the first machine where the
    machines were adopted. ``id`` tells the classroom from others that have its name before or
    after it; it is empty in a record of before there were such ids."""

    classroom: str
    id: str = ""
    template: str = ""
    version: int = 0  # of the template, that seats made from now on get
    memory_bytes: int = 0
    vcpus: int = 0
    network: str = ""
    policy: Policy = field(default_factory=Policy)

    def to_dict(self) -> dict[str, str]:
        """The keys of the format, in order; what has its default is left out."""
        return {"format": str(FORMAT), **plain_fields_to_dict(self), **policy_to_dict(self.policy)}


_ID = re.compile("[0-9a-z-]{1,36}", re.ASCII)


REBUILT = "again-"  # an id of a classroom whose record was lost, and its id with it


def new_id(*, rebuilt: bool = False) -> str:
    """An id that no other classroom has or gets."""
    return REBUILT + uuid.uuid4().hex[:30] if rebuilt else str(uuid.uuid4())


def check_id(text: str) -> str:
    """Raises BadInput unless a record can keep this id."""
    if _ID.fullmatch(text):
        return text
    raise BadInput("{text!r} cannot be an id.", "Use a UUID.", text=text)


RECORD_KEYS = ("format", *plain_fields(ClassroomRecord), *POLICY_KEYS)


def record_parsed(raw: Mapping[str, str]) -> ClassroomRecord:
    """The inverse of ``to_dict``. Raises NotOurs, naming the key that cannot be read."""
    for key in raw:
        if key not in RECORD_KEYS:
            raise NotOurs("the record's key {key!r} is not one of ours", key=key)
    if value_parsed("format", raw.get("format"), int) != FORMAT:
        raise NotOurs("the record is of the format {format}", format=raw["format"])
    return ClassroomRecord(
        **plain_fields_parsed(ClassroomRecord, raw), policy=policy_from_dict(raw)
    )


def policy_to_dict(policy: Policy) -> dict[str, str]:
    """The rules that are not the usual ones."""
    written: dict[str, str] = {}
    if policy.after_reset is not After.AS_FOUND:
        written["power_after_reset"] = str(policy.after_reset)
    if set(policy.modes) != set(Mode):
        written["modes"] = "+".join(policy.modes)
    if policy.reset_by is not ResetBy.STUDENTS:
        written["reset_by"] = str(policy.reset_by)
    if policy.undo_hours is not None:
        written["undo_hours"] = str(policy.undo_hours)
    if policy.minutes:
        written["minutes"] = str(policy.minutes)
    if policy.changed_hardware is not ChangedHardware.KEEP:
        written["changed_hardware"] = str(policy.changed_hardware)
    if policy.growth_bytes is not None:
        written["growth_bytes"] = str(policy.growth_bytes)
    if policy.weight != WEIGHT_USUAL:
        written["weight"] = str(policy.weight)
    if policy.nested:
        written["nested"] = "yes"
    if policy.after_boot is not AfterBoot.OFF:
        written["after_boot"] = str(policy.after_boot)
    return written


def policy_from_dict(raw: Mapping[str, str]) -> Policy:
    """The inverse; a key that is not there is the usual rule. Raises NotOurs."""
    try:
        return Policy(
            after_reset=value_parsed(
                "power_after_reset", raw.get("power_after_reset", After.AS_FOUND.value), After
            ),
            modes=value_parsed("modes", raw.get("modes", "+".join(Mode)), _modes_parsed),
            reset_by=value_parsed("reset_by", raw.get("reset_by", ResetBy.STUDENTS.value), ResetBy),
            undo_hours=value_parsed("undo_hours", raw["undo_hours"], int)
            if "undo_hours" in raw
            else None,
            minutes=value_parsed("minutes", raw.get("minutes", "0"), int),
            changed_hardware=value_parsed(
                "changed_hardware",
                raw.get("changed_hardware", ChangedHardware.KEEP.value),
                ChangedHardware,
            ),
            growth_bytes=value_parsed("growth_bytes", raw["growth_bytes"], int)
            if "growth_bytes" in raw
            else None,
            weight=value_parsed("weight", raw.get("weight", str(WEIGHT_USUAL)), int),
            nested=value_parsed("nested", raw.get("nested", "no"), ("no", "yes").index) == 1,
            after_boot=value_parsed(
                "after_boot", raw.get("after_boot", AfterBoot.OFF.value), AfterBoot
            ),
        )
    except BadInput as error:
        raise NotOurs("the policy cannot be read: {why}", why=error) from None


def _modes_parsed(text: str) -> tuple[Mode, ...]:
    return tuple(Mode(one) for one in text.split("+"))
