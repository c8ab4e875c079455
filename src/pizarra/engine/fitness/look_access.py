"""Can the user that QEMU runs as reach its disks? Tried as that user."""

from __future__ import annotations

import pwd
from collections.abc import Sequence
from contextlib import suppress

from pizarra.compute.libvirt_connection import qemu_user
from pizarra.errors import PizarraError
from pizarra.settings import Settings
from pizarra.system.process import run

_LIMIT_S = 20
_TRY = 'for path do test -x "$path" || printf "%s\\n" "$path"; done'


def closed_folders(settings: Settings) -> tuple[str, ...]:
    """The folders that the user cannot enter, the outermost first: of the way to each file that
    QEMU opens. Empty too when nobody can say which user that is."""
    try:
        user = qemu_user(settings.libvirt_uri)
        return closed_to(*user, _way_to(settings)) if user else ()
    except PizarraError:
        return ()  # libvirt's own finding says that it is silent


def _way_to(settings: Settings) -> list[str]:
    ends = [settings.folder, settings.seed_folder]
    with suppress(OSError):
        ends += [one for one in settings.folder.iterdir() if one.is_dir()]
    way = {str(one) for end in ends for one in (end, *end.parents) if one.is_dir()}
    return sorted(way)


def closed_to(user: int, group: int, folders: Sequence[str]) -> tuple[str, ...]:
    """Of these, those that a user cannot enter: setpriv(1), with the groups of the user, as libvirt
    starts QEMU."""
    is_known = user in {one.pw_uid for one in pwd.getpwall()}
    groups = "--init-groups" if is_known else "--clear-groups"
    as_user = ("setpriv", f"--reuid={user}", f"--regid={group}", groups)
    done = run([*as_user, "sh", "-c", _TRY, "sh", *folders], timeout_s=_LIMIT_S, check=False)
    return tuple(done.stdout.splitlines())
