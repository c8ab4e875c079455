"""Runs a program that reads hostile data where it can reach nothing but its open descriptors.

The program has a root folder of its own, which holds /usr and /dev/null, read-only, and what it is
shown. It has a network of its own without any address, a user number that nothing else on the host
has, no capability, and no way to get one. Limits hold its memory, its time and what it writes. A
process in a chroot(2) cannot make a user namespace, and without a capability it does not get out.

A program that takes a path to a disk, such as debugfs, cannot be handed a descriptor. It gets the
disk at /disk, and may open what is in its root folder whatever the mode: CAP_DAC_OVERRIDE.

Source: unshare(1), chroot(1), setpriv(1), prlimit(1), capabilities(7); the programs are in
util-linux and coreutils.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from pizarra.model.sizes import GIB

_MEMORY_BYTES = 2 * GIB
_CPU_S = 24 * 3600
# systemd's list of user numbers gives 65536 to 524287 to nobody, and adduser begins at 100000
_FIRST_USER, _USERS = 65536, 30_000
_UNSHARE = ("unshare", "--mount", "--net", "--ipc", "--uts", "--propagation", "slave")
# The mounts are in the namespace alone: they end with the program
_ENTER = "; ".join(
    (
        'mount -t tmpfs -o size=64k,mode=0755,nosuid,nodev pizarra "$0"',
        'cd "$0"',
        "mkdir usr dev",
        "touch dev/null",
        "mount --bind /dev/null dev/null",
        "ln -s usr/bin usr/lib usr/lib64 .",
        "mount --rbind /usr usr",
        "mount -o remount,bind,ro,nosuid usr",
        # pairs of what is shown and of its name in here
        'while [ "$1" != -- ]',
        'do if [ -d "$1" ]',
        'then mkdir -p "$2"',
        'mount --bind "$1" "$2"',
        'mount -o remount,bind,ro,nosuid,nodev "$2"',
        'else touch "$2"',
        'mount --bind "$1" "$2"',
        "fi",
        "shift 2",
        "done",
        "shift",
        "mount -o remount,ro .",
        'exec chroot . "$@"',
    )
)
_ENVIRONMENT = ("env", "-i", "PATH=/usr/sbin:/usr/bin", "LC_ALL=C", "MALLOC_ARENA_MAX=2")


def jail(
    argv: Sequence[str],
    folder: Path,
    *,
    shows: Mapping[str, Path] | None = None,
    disk: Path | None = None,
    memory_bytes: int = _MEMORY_BYTES,
    cpu_s: int = _CPU_S,
) -> list[str]:
    """The command that runs ``argv`` in a jail, whose root folder is mounted on ``folder``.

    ``shows`` are folders, which are read-only there, and devices, by their names in the jail. A
    group that may use such a device is the program's group too. ``disk`` is at /disk, to read and
    write. ``place_in_jail`` tells the program where they are. Where we are not root, the program
    is as unprivileged as we are, and has the limits alone.
    """
    file_bytes = None if disk else 0
    limits = limit([], memory_bytes=memory_bytes, file_bytes=file_bytes, tasks=200, cpu_s=cpu_s)
    if os.geteuid() != 0:
        return [*_ENVIRONMENT, *limits, *argv]
    user = str(_FIRST_USER + secrets.randbelow(_USERS))
    shown = {**(shows or {}), **({"disk": disk} if disk else {})}
    pairs = [word for name, path in shown.items() for word in (str(path.absolute()), name)]
    enter = [*_UNSHARE, "sh", "-euc", _ENTER, str(folder), *pairs, "--"]
    return [*enter, *_ENVIRONMENT, *limits, *_drop(user, shows or {}, disk), *argv]


def _drop(user: str, shows: Mapping[str, Path], disk: Path | None) -> list[str]:
    seen = [path.stat() for path in shows.values()]
    groups = [str(one.st_gid) for one in seen if stat.S_ISCHR(one.st_mode) and one.st_gid]
    capabilities = "-all,+dac_override" if disk else "-all"
    return [
        *("setpriv", "--reuid", user, "--regid", user, "--no-new-privs"),
        *(("--groups", ",".join(groups)) if groups else ("--clear-groups",)),
        *(f"--inh-caps={capabilities}", f"--bounding-set={capabilities}"),
        *((f"--ambient-caps={capabilities}",) if disk else ()),
        *("--pdeathsig", "KILL"),
    ]


def place_in_jail(path: Path, name: str) -> str:
    """How the program calls what it is shown, or its disk."""
    return f"/{name}" if os.geteuid() == 0 else str(path)


def limit(
    argv: Sequence[str],
    *,
    memory_bytes: int = 4 * _MEMORY_BYTES,
    file_bytes: int | None = None,
    tasks: int | None = None,
    cpu_s: int = _CPU_S,
) -> list[str]:
    """The command that runs ``argv`` within limits: memory, processor time (a day), the size of a
    file that it writes, and threads."""
    own = {"as": memory_bytes, "cpu": cpu_s, "core": 0, "fsize": file_bytes, "nproc": tasks}
    given = [f"--{name}={value}" for name, value in own.items() if value is not None]
    return ["prlimit", *given, *argv]
