"""Labels of format 1, as version ab156f6 wrote them: read for good, never written.

One record served all roles: a seat carried what is now the record of its classroom, and a volume
could have labels that say nothing in its role.
"""

from __future__ import annotations

from collections.abc import Mapping

from pizarra.errors import NotOurs

# the key then -> the key now
KEYS = {
    "role": "role",
    "template": "template",
    "version": "version",
    "still": "content_version",
    "disk": "disk",
    "firmware": "firmware",
    "persistent": "persistent",
    "warm": "warm",
    "state": "firmware_state",
    "classroom": "classroom",
    "seat": "seat",
    "domain": "domain",
    "name": "name",
    "baseline": "baseline",
    "way": "reset_method",
    "memory_bytes": "memory_bytes",
    "vcpus": "vcpus",
    "network": "network",
    "after": "power_after_reset",
    "modes": "modes",
    "reset_by": "reset_by",
    "undo_hours": "undo_hours",
    "minutes": "minutes",
    "checkpoint": "checkpoint",
    "saved": "saved_at",
    "ram": "ram_bytes",
}
_VERSION = "template version disk firmware firmware_state persistent"
_MACHINE = "memory_bytes vcpus network"
_SEAT = (
    f"{_VERSION} content_version classroom seat domain name baseline reset_method {_MACHINE} "
    "power_after_reset modes reset_by undo_hours minutes"
)
# the keys that say something, by role
_OF_ROLE: Mapping[str, tuple[str, ...]] = {
    role: tuple(keys.split())
    for role, keys in {
        "template": f"{_VERSION} warm",
        "maintenance": f"{_VERSION} domain {_MACHINE}",
        "seat": _SEAT,
        "baseline": _SEAT,
        "checkpoint": (
            "template version content_version disk firmware firmware_state classroom seat "
            f"baseline {_MACHINE} checkpoint saved_at ram_bytes"
        ),
        "inspection": "disk classroom seat name",
    }.items()
}


def translated(raw: Mapping[str, str]) -> dict[str, str]:
    """The same under the keys of format 2, without what says nothing in its role.

    Raises NotOurs for a key that was never one.
    """
    for key in raw:
        if key not in KEYS:
            raise NotOurs("the label {key!r} is not one of ours", key=key)
    texts = {KEYS[key]: text for key, text in raw.items()}
    if texts.get("role") == "filling":
        texts["becomes"] = _becomes(texts)
    role = texts.get("becomes", texts.get("role", ""))
    known = (*_OF_ROLE.get(role, tuple(texts)), "role", "becomes")
    return {"format": "2", **{key: text for key, text in texts.items() if key in known}}


def _becomes(texts: Mapping[str, str]) -> str:
    """Only its other labels told what a volume that was being filled was to become."""
    if texts.get("classroom"):
        return "seat"
    return "maintenance" if texts.get("memory_bytes", "0") != "0" else "template"
