"""A volume group with many more seats than are really made: its metadata written as text.

`vgcfgrestore` takes what `vgcfgbackup` wrote; each copied seat has a name, a UUID and a thin id of
its own. Those seats sleep, which is all that LVM's own cost depends on. Pure.
"""

from __future__ import annotations

import re
import secrets
import string

_TAGS = re.compile(r"\n\t\t\ttags = \[[^\]]*\]")
_THIN_ID = re.compile(r"(\n\s*device_id = )\d+")
_UUID = re.compile(r'(\n\t\t\tid = )"[^"]+"')  # of the volume itself, not of its segments


def with_seats(text: str, like: str, names: list[str], first_thin_id: int) -> str:
    """The group's metadata with one more volume for each name, each a copy of ``like``.

    Without its tags: a group's metadata area, half a MiB by default, holds no thousand with them.
    """
    block = _block(text, like)
    bare = _TAGS.sub("", block)
    copies = [
        _UUID.sub(
            lambda found: f'{found[1]}"{_lvm_uuid()}"',
            _THIN_ID.sub(
                lambda found, n=number: f"{found[1]}{n}",  # type: ignore[misc]
                bare.replace(f"\t\t{like} {{", f"\t\t{name} {{", 1),
            ),
        )
        for number, name in enumerate(names, start=first_thin_id)
    ]
    return text.replace(block, block + "".join(copies), 1)


def without_seats(text: str, prefix: str) -> str:
    """The same, without the volumes whose names begin so."""
    names = re.findall(rf"\n\t\t({re.escape(prefix)}[^ ]*) {{", text)
    for name in names:
        text = text.replace(_block(text, name), "\n", 1)
    return text


def _block(text: str, name: str) -> str:
    start = text.index(f"\n\t\t{name} {{")
    end = text.index("\n\t\t}\n", start)
    return text[start:end] + "\n\t\t}\n"


def _lvm_uuid() -> str:
    letters = string.ascii_letters + string.digits
    parts = (6, 4, 4, 4, 4, 4, 6)
    return "-".join("".join(secrets.choice(letters) for _ in range(length)) for length in parts)
