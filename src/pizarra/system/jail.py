"""Runs a program that reads hostile data where it can reach nothing but its open descriptors.

The program has a root folder of its own, which holds /usr and /dev/null alone, read-only. It has a
network of its own without any address, a user number that nothing else on the host has, no
capability, and no way to get one. Limits hold its memory, its time and what it writes. A process
in a chroot(2) cannot make a user namespace, and without a capability it does not get out.

Source: unshare(1), chroot(1), setpriv(1), prlimit(1); they are in util-linux and coreutils.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
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
        "mount -o remount,ro .",
        'exec chroot . "$@"',
    )
)
_ENVIRONMENT = ("env", "-i", "PATH=/usr/sbin:/usr/bin", "LC_ALL=C", "MALLOC_ARENA_MAX=2")


def jail(argv: Sequence[str], folder: Path, *, memory_bytes: int = _MEMORY_BYTES) -> list[str]:
    """The command that runs ``argv`` in a jail, whose root folder is mounted on ``folder``.

    Where we are not root, the program is as unprivileged as we are, and has the limits alone.
    """
    limits = limit([], memory_bytes=memory_bytes, file_bytes=0, tasks=200)
    if os.geteuid() != 0:
        return [*_ENVIRONMENT, *limits, *argv]
    user = str(_FIRST_USER + secrets.randbelow(_USERS))
    drop = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs",
            "--inh-caps=-all", "--bounding-set=-all", "--pdeathsig", "KILL"]  # fmt: skip
    enter = [*_UNSHARE, "sh", "-euc", _ENTER, str(folder)]
    return [*enter, *_ENVIRONMENT, *limits, *drop, *argv]


def limit(
    argv: Sequence[str],
    *,
    memory_bytes: int = 4 * _MEMORY_BYTES,
    file_bytes: int | None = None,
    tasks: int | None = None,
) -> list[str]:
    """The command that runs ``argv`` within limits: memory, a day of processor time, the size of
    a file that it writes, and threads."""
    own = {"as": memory_bytes, "cpu": _CPU_S, "core": 0, "fsize": file_bytes, "nproc": tasks}
    given = [f"--{name}={value}" for name, value in own.items() if value is not None]
    return ["prlimit", *given, *argv]
