"""Names and lists of seats, validated before they reach XML, LVM, a path or a command line."""

from __future__ import annotations

import hashlib
import re
import uuid

from pizarra.errors import BadInput
from pizarra.model.sentence import N_

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
NAME_LENGTH_MAX = 24
SEATS_MAX = 1000
_SPACE = uuid.UUID("6f1d7b0e-6c3a-4d6e-9d0a-70697a617272")  # ends in "pizarr"


def check_name(name: str, what: str) -> str:
    """Return ``name`` if a template or classroom may be called so. Raises BadInput."""
    if len(name) <= NAME_LENGTH_MAX and _NAME.fullmatch(name):
        return name
    raise BadInput(
        "{name!r} cannot be the name of a {what}.",
        "Use lower-case letters a-z, digits and single hyphens, a letter first, "
        "at most {longest} characters: for example net, lab-2.",
        name=name,
        what=what,
        longest=NAME_LENGTH_MAX,
    )


def seat_name(classroom: str, number: int, machine: str = "") -> str:
    """``net-07``, or of a seat's machine ``net-07-router``: also the name of the libvirt domain."""
    return f"{classroom}-{number:02d}" + (f"-{machine}" if machine else "")


def _machine_path(classroom: str, number: int, machine: str) -> str:
    return f"{classroom}/{number}" + (f"/{machine}" if machine else "")


def seat_uuid(
    classroom: str, number: int, machine: str = "", *, host: str = "", attempt: int = 0
) -> str:
    """A UUID for a new domain: the same every time that this machine is made on this host.

    ``host`` is the host's identity; without one the UUID comes from the names alone, as in the
    first version. ``attempt`` counts the UUIDs that were taken. The label of a seat keeps the UUID.
    """
    path = _machine_path(classroom, number, machine)
    before, after = f"{host}/" if host else "", f"#{attempt}" if attempt else ""
    return str(uuid.uuid5(_SPACE, f"{before}{path}{after}"))


def seat_mac(domain_uuid: str, classroom: str, number: int, nic: int = 0, machine: str = "") -> str:
    """The address of a network card, from the UUID of its machine: 40 bits of a hash, under a
    first byte that says "locally administered".

    A machine whose UUID comes from its names alone keeps the address of the first version, which
    came from the names too: 24 bits in QEMU's range.
    """
    if domain_uuid == seat_uuid(classroom, number, machine):
        path = _machine_path(classroom, number, machine)
        return _address("52:54:00", uuid.uuid5(_SPACE, f"{path}/nic{nic}").bytes[:3])
    return _address("52", hashlib.sha256(f"{domain_uuid}/nic{nic}".encode()).digest()[:5])


def _address(first: str, rest: bytes) -> str:
    return f"{first}:{rest.hex(':')}"


def parse_number(text: str) -> int | None:
    """A number of at most nine digits 0 to 9; None for anything else, also for ``²`` and ``٣``."""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) else None


def parse_seat_name(text: str) -> tuple[str, int]:
    """``net-07`` -> ("net", 7). Raises BadInput."""
    classroom, _, digits = text.rpartition("-")
    if not classroom or not re.fullmatch(r"[0-9]{2,4}", digits, re.ASCII):
        raise BadInput(
            "{text!r} is not a seat.",
            "A seat is a classroom and a number of two digits or more: net-07.",
            text=text,
        )
    return check_name(classroom, N_("classroom")), int(digits)


def parse_seat_numbers(text: str) -> tuple[int, ...]:
    """``"1-8,11"`` -> (1, …, 8, 11), sorted and each once. Raises BadInput."""
    numbers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,4})(?:\s*-\s*([0-9]{1,4}))?\s*", part, re.ASCII)
        first = int(match[1]) if match else 0
        last = int(match[2] or match[1]) if match else 0
        if not 1 <= first <= last <= SEATS_MAX:
            raise BadInput(
                "{part!r} is not a seat number or a range of them.",
                "Write numbers and ranges from 1 to {most}: 3 or 1-8,11.",
                part=part.strip(),
                most=SEATS_MAX,
            )
        numbers.update(range(first, last + 1))
    return tuple(sorted(numbers))
