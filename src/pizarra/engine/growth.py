"""How full pools were, so that it can be said when they will be full.

A line a look in a file a pool, for a day: seconds since 1970, bytes used.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from pizarra.model.facts import Pool
from pizarra.planner.forecast import Sample

_KEPT_S = 24 * 3600
_LINES_MAX = 3000


def record(folder: Path, pools: Iterable[Pool]) -> None:
    """How full they are now. Without room for that nobody can foretell, and all else goes on."""
    now = time.time()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        for pool in pools:
            used = pool.size_bytes - pool.free_bytes
            with _file(folder, pool).open("a", encoding="ascii") as file:
                file.write(f"{now:.0f} {used}\n")
            _trim(_file(folder, pool), now)


def history(folder: Path, pool: Pool) -> Sequence[Sample]:
    """Of the last day, the oldest first."""
    try:
        lines = _file(folder, pool).read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return ()
    found = [line.split() for line in lines]
    whole = [one for one in found if len(one) == len(("at", "used")) and "".join(one).isdecimal()]
    return tuple(Sample(at=float(at), used_bytes=int(used)) for at, used in whole)


def _file(folder: Path, pool: Pool) -> Path:
    name = f"{pool.kind}-{pool.place}-{pool.name}".strip("/").replace("/", "-")
    return folder / name


def _trim(file: Path, now: float) -> None:
    """Written anew only now and then."""
    lines = file.read_text(encoding="ascii").splitlines()
    if len(lines) <= _LINES_MAX:
        return
    kept = [line for line in lines if float(line.split()[0]) > now - _KEPT_S][-_LINES_MAX // 2 :]
    new = file.with_name(f".{file.name}.new")
    new.write_text("\n".join(kept) + "\n", encoding="ascii")
    new.replace(file)
