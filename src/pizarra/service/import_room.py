"""Whether an import fits, before it begins and while it is copied: a pool's reserve stays free.

Machines that run write to the same pool, also while an import takes its hours.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pizarra.errors import NoSpace
from pizarra.model.facts import Pool
from pizarra.model.sentence import N_, Sentence
from pizarra.model.sizes import size_text
from pizarra.service.context import Context
from pizarra.service.halting import reserve
from pizarra.storage.interface import Storage

_LOOK_EVERY_S = 1.0
_HINT = N_("Make room: delete checkpoints, old versions; or enlarge it: pizarra host check --fix")


def check_room(context: Context, storage: Storage, needs_bytes: int, what: str) -> None:
    """Raises NoSpace unless ``needs_bytes`` more can be written above the reserve."""
    storage.check_space(needs_bytes, what)
    pool = _pool(context, storage)
    if pool and needs_bytes > pool.free_bytes - reserve(context)(pool):
        raise NoSpace(
            "{what} needs {needs}; of {pool} {free} are free, and {reserve} of that stay "
            "free for machines that run.",
            _HINT,
            what=what,
            needs=size_text(needs_bytes),
            **_facts(context, pool),
        )


def keeping_reserve(
    context: Context,
    storage: Storage,
    progress: Callable[[float], None],
    every_s: float = _LOOK_EVERY_S,
) -> Callable[[float], None]:
    """The progress of a copy, which raises NoSpace when the copy has reached the reserve. The
    pool is looked at each ``every_s`` seconds."""
    looked_s = time.monotonic()

    def look(share: float) -> None:
        nonlocal looked_s
        progress(share)
        if time.monotonic() - looked_s < every_s:
            return
        pool = _pool(context, storage)
        looked_s = time.monotonic()
        if pool and pool.free_bytes < reserve(context)(pool):
            raise NoSpace(
                "The import was stopped: of {pool} only {free} are free, and {reserve} "
                "stay free for machines that run. Nothing of the import is left.",
                _HINT,
                **_facts(context, pool),
            )

    return look


def _pool(context: Context, storage: Storage) -> Pool | None:
    """The one that an import to this place would fill; None where each seat has its own space."""
    if storage.capabilities.extendable_store:
        return None
    pools = [one for one in storage.observe().pools
             if (one.kind, one.place) == (storage.kind, storage.place)]  # fmt: skip
    named = [one for one in pools if one.name == context.host.settings.pool]
    return next(iter(named or pools), None)


def _facts(context: Context, pool: Pool) -> dict[str, str | Sentence]:
    return {
        "pool": pool.title,
        "free": size_text(pool.free_bytes),
        "reserve": size_text(reserve(context)(pool)),
    }
