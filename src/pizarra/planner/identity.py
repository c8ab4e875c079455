"""Seats are persons: what makes one machine another one than its neighbours, and who gives it.

A guest with cloud-init is told by a seed (NoCloud), the others by a script that their agent runs.
What they are then is a checkpoint of that name, and their original from then on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pizarra.errors import BadInput, NotOurs, Unsupported
from pizarra.model.facts import Power, Seat, StorageKind, Volume
from pizarra.model.foreign_json import parse_foreign_json
from pizarra.model.outcome import Mode
from pizarra.model.sentence import Sentence
from pizarra.planner.reset import ResetPlan, SeatPlan, Step, not_undoable, untouchable_plan
from pizarra.storage.interface import Capabilities

SEED_LABEL = "CIDATA"  # as cloud-init looks for it
RESULT = "result.json"  # what cloud-init says of itself, on the seed
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whom a machine is for: an account of its own, if there is to be one."""

    user: str = ""
    password_hash: str = ""  # as /etc/shadow has it

    def __post_init__(self) -> None:
        if self.user and (not _USER.fullmatch(self.user) or self.user == "root"):
            raise BadInput(
                "{user!r} is not a user's name.",
                "Use small letters, digits, - and _, for example: student",
                user=self.user,
            )
        if bool(self.user) != bool(self.password_hash):
            raise BadInput(
                "A user needs a password, and a password a user.",
                "Say both: --user student --password-file FILE",
            )


def plan_fresh(
    classroom: str,
    seats: Sequence[Seat],
    volumes: Mapping[str, Volume],
    capabilities: Mapping[StorageKind, Capabilities],
) -> ResetPlan:
    """Every seat off and as its template is, whatever it is called now. Raises Unsupported."""
    for seat in seats:
        _check_possible(seat, capabilities)
    plans = tuple(_seat_plan(seat, volumes, capabilities) for seat in seats)
    return ResetPlan(classroom=classroom, mode=Mode.COLD, seats=plans, verb="classroom identify")


def _check_possible(seat: Seat, capabilities: Mapping[StorageKind, Capabilities]) -> None:
    if seat.is_adopted:
        raise Unsupported(
            "{seat} is an adopted machine and keeps the identity that it has.", seat=seat.name
        )
    for volume in seat.volumes:
        if not capabilities[volume.kind].checkpoints:
            raise Unsupported(
                "{seat} is on {kind}, where a seat has no original of its own.",
                "Identities need lvm-thin or qcow2.",
                seat=seat.name,
                kind=volume.kind,
            )


def _seat_plan(
    seat: Seat, volumes: Mapping[str, Volume], capabilities: Mapping[StorageKind, Capabilities]
) -> SeatPlan:
    if untouchable := untouchable_plan(seat):
        return untouchable
    golden = {one.uuid: volumes.get(one.labels.baseline) for one in seat.volumes if one.labels}
    sources = {uuid: volume for uuid, volume in golden.items() if volume is not None}
    if len(sources) < len(seat.volumes):
        raise NotOurs("The original state of {name} is missing.", name=seat.name)
    stops = (Step.STOP,) if seat.power is not Power.OFF else ()
    return SeatPlan(
        seat=seat,
        steps=(*stops, Step.REWIND, Step.PROVE),
        sources=sources,
        no_undo=not_undoable(seat, capabilities),
    )


def machine_id(seat: Seat) -> str:
    """For /etc/machine-id: the same as libvirt calls it."""
    return seat.domain_uuid.replace("-", "")


def meta_data(seat: Seat) -> str:
    """For cloud-init, which begins anew when the instance is another."""
    return json.dumps({"instance-id": seat.domain_uuid, "local-hostname": seat.name}) + "\n"


def user_data(seat: Seat, person: Person) -> str:
    """For cloud-init. In the end the guest says on the seed how it went, and goes off."""
    config: dict[str, object] = {
        "hostname": seat.name,
        "preserve_hostname": False,
        "manage_etc_hosts": True,
        "ssh_deletekeys": True,
        "runcmd": [["sh", "-c", _MACHINE_ID, "sh", machine_id(seat)]],
        "power_state": {"mode": "poweroff", "delay": "now", "condition": ["sh", "-c", _TOLD]},
    }
    if person.user:
        account: dict[str, object] = {
            "name": person.user,
            "shell": "/bin/bash",
            "lock_passwd": False,
            "hashed_passwd": person.password_hash,
        }
        config["users"] = ["default", account]
    return "#cloud-config\n" + json.dumps(config, indent=1) + "\n"


_MACHINE_ID = 'printf "%s\\n" "$1" >/etc/machine-id; rm -f /var/lib/dbus/machine-id'
# on whatever device the seed is; it is not there any more afterwards
_TOLD = (
    f"mkdir -p /run/seed && mount -L {SEED_LABEL} /run/seed"
    f" && cp /run/cloud-init/{RESULT} /run/seed/{RESULT}; sync; umount /run/seed; true"
)


def cloud_init_failure(result: str | None) -> str | None:
    """What of the identity went wrong, from what the guest said on its seed; None when nothing.

    What else a template asks of cloud-init (a locale that is not there) is the template's matter.
    """
    if result is None:
        return Sentence("it switched itself off before cloud-init had ended")
    try:
        told: Any = parse_foreign_json(result)
        errors = [str(one) for one in told["v1"]["errors"]]
    except (ValueError, KeyError, TypeError):
        return Sentence("cloud-init's result cannot be read")
    return "; ".join(one for one in errors if _module_of(one) in _OF_AN_IDENTITY) or None


def _module_of(error: str) -> str:
    """cloud-init writes ``('set-passwords', ProcessExecutionError(...))``; empty for others."""
    found = re.match(r"\('([a-z_-]+)', ", error)
    return found[1].replace("-", "_") if found else ""


_OF_AN_IDENTITY = {
    "",  # of no module: of all
    "set_hostname",
    "update_hostname",
    "update_etc_hosts",
    "users_groups",
    "ssh",
    "set_passwords",
    "runcmd",
    "scripts_user",
}


def agent_script(seat: Seat, person: Person) -> str:
    """For /bin/sh as root, where there is no cloud-init. Twice changes nothing more."""
    values = {
        "name": seat.name,
        "id": machine_id(seat),
        "user": person.user,
        "hash": person.password_hash,
    }
    given = "".join(f"{key}='{value}'\n" for key, value in values.items())
    return given + _SCRIPT


_SCRIPT = """\
set -e
old=$(cat /etc/hostname 2>/dev/null || true)
echo "$name" >/etc/hostname
hostname "$name" 2>/dev/null || true
if [ -n "$old" ] && grep -qw -- "$old" /etc/hosts; then
    sed -i "s/\\b$old\\b/$name/g" /etc/hosts
else
    echo "127.0.1.1 $name" >>/etc/hosts
fi
echo "$id" >/etc/machine-id
rm -f /var/lib/dbus/machine-id
if ls /etc/ssh/ssh_host_*_key >/dev/null 2>&1; then
    rm -f /etc/ssh/ssh_host_*
    ssh-keygen -A >/dev/null
fi
if [ -n "$user" ]; then
    id "$user" >/dev/null 2>&1 || useradd -m -s /bin/bash "$user"
    echo "$user:$hash" | chpasswd -e
fi
sync
"""
