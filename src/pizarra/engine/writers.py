"""How much each seat has written, now and at the guard's last look: who fills a pool, and how fast.

``growth/seats.json``: ``{"at": SECONDS, "written": {"net-07": BYTES}, "held": {}}``. See
docs/formats.md.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ValidationError

from pizarra.engine.host import Host
from pizarra.model.facts import Seat
from pizarra.planner.reset import pairs_of
from pizarra.storage.interface import Change
from pizarra.system.file_copies import write_atomically

_MINUTE_S = 60.0
_KEPT_S = 20.0  # the guards of a timer and of the server may look within the same second
_OLD_S = 600.0  # what was seen before that tells nothing of now


class _Look(BaseModel):
    at: float
    written: dict[str, int]
    held: dict[str, int] = {}  # of seats that are compared with nothing


def written_bytes(host: Host, seats: Sequence[Seat]) -> dict[str, int]:
    """By name of seat, what differs from its originals, and what is on its data disks. A seat that
    nobody can tell it of is left out, and one that still has the content of another version."""
    seats = [seat for seat in seats if not seat.labels.content_version]
    changes = host.changes([pair for seat in seats for pair in pairs_of(seat)])
    found = {}
    for seat in seats:
        known = [changes.get(volume.uuid) for volume in seat.volumes]
        whole = [one.changed_bytes for one in known if isinstance(one, Change)]
        data = [round(one.size_bytes * (one.used_share or 0)) for one in seat.data]
        if len(whole) == len(known):
            found[seat.name] = sum(whole) + sum(data)
    return found


def held_bytes(seats: Sequence[Seat]) -> dict[str, int]:
    """By name of seat, what its disks take of their place: this grows with what is new on them."""
    return {
        seat.name: sum(round(v.size_bytes * (v.used_share or 0)) for v in seat.all_volumes)
        for seat in seats
    }


def grown_bytes(
    folder: Path, written: Mapping[str, int], held: Mapping[str, int]
) -> dict[str, int]:
    """What each wrote in a minute, as since the last look; all of it, when there was none lately.
    Of those that are in ``held`` alone: what they hold more than at the last look.

    The new look is noted. Without room for that the next look knows less, and all else goes on.
    """
    file, now = folder / "seats.json", time.time()
    last = _last_look(file)
    if last is None or not 0 <= now - last.at < _OLD_S:
        last = _Look(at=now - _MINUTE_S, written={})
    age_s = now - last.at
    if age_s >= _KEPT_S:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            look = _Look(at=now, written=dict(written), held=dict(held))
            write_atomically(file, look.model_dump_json())
    share = _MINUTE_S / max(_KEPT_S, age_s)
    more = {name: size - last.held.get(name, size) for name, size in held.items()}
    more |= {name: size - last.written.get(name, 0) for name, size in written.items()}
    return {name: max(0, round(share * size)) for name, size in more.items()}


def _last_look(file: Path) -> _Look | None:
    try:
        return _Look.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        return None
