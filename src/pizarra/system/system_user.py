"""Users of the system that services run as."""

from __future__ import annotations

import pwd
from contextlib import suppress
from pathlib import Path

from pizarra.system.process import run


def make_system_user(user: str, home: Path) -> pwd.struct_passwd:
    """A user without a password and a shell; the user that there is. Raises CommandFailed."""
    with suppress(KeyError):
        return pwd.getpwnam(user)
    where = ["--home-dir", str(home), "--shell", "/usr/sbin/nologin"]
    run(["useradd", "--system", "--user-group", *where, user])
    return pwd.getpwnam(user)
