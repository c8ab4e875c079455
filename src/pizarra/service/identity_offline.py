"""An identity written to the disk of a machine that is off: no boot, for a Linux on ext4 that has
neither cloud-init nor an agent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from pizarra.errors import StorageFault
from pizarra.model.facts import Seat
from pizarra.planner import identity as planner
from pizarra.planner import identity_files
from pizarra.planner.identity import Person
from pizarra.service.context import Context
from pizarra.system.ext_files import ExtFiles, NewFile, keys_made, linux_root

_ASKED_INSTEAD = (
    "/usr/bin/cloud-init", "/usr/local/bin/cloud-init", "/usr/sbin/qemu-ga", "/usr/bin/qemu-ga",
)  # fmt: skip
_KEYS = ("rsa", "ecdsa", "ed25519")
_ACCOUNTS = {"passwd": 0o644, "group": 0o644, "shadow": 0o640, "gshadow": 0o640}
_DAY_S = 86_400


def written(context: Context, seat: Seat, person: Person) -> bool:
    """False, and nothing is changed, when its system has somebody to ask, or is not one that we
    can read. The machine is off. Raises StorageFault."""
    with _root_of(context, seat) as root:
        if root is None or any(root.has(name) for name in _ASKED_INSTEAD):
            return False
        new, gone = _named(root, seat)
        if person.user:
            new |= _account(root, person)
        if root.has("/etc/selinux/config"):
            new["/.autorelabel"] = NewFile()
        root.changed(new, gone)
    return True


@contextmanager
def _root_of(context: Context, seat: Seat) -> Iterator[ExtFiles | None]:
    for volume in seat.volumes:
        with context.host.storage_of(volume).written(volume) as disk:
            if root := linux_root(disk):
                yield root
                return
    yield None


def _named(root: ExtFiles, seat: Seat) -> tuple[dict[str, NewFile], list[str]]:
    old = _text(root, "/etc/hostname").strip()
    new = {
        "/etc/hostname": f"{seat.name}\n",
        "/etc/hosts": identity_files.hosts(_text(root, "/etc/hosts"), old, seat.name),
        "/etc/machine-id": f"{planner.machine_id(seat)}\n",
    }
    files = {name: NewFile(data=text.encode("latin-1")) for name, text in new.items()}
    kinds = [kind for kind in _KEYS if root.has(f"/etc/ssh/ssh_host_{kind}_key")]
    with keys_made(kinds, f"root@{seat.name}") as keys:
        for name, data in keys.items():
            mode = 0o644 if name.endswith(".pub") else 0o600
            files[f"/etc/ssh/{name}"] = NewFile(data=data, mode=mode)
    return files, ["/var/lib/dbus/machine-id"]


def _account(root: ExtFiles, person: Person) -> dict[str, NewFile]:
    texts = {name: _text(root, f"/etc/{name}") for name in _ACCOUNTS if root.has(f"/etc/{name}")}
    number, is_new = identity_files.user_id(texts["passwd"], person.user)
    told = identity_files.accounts(texts, person, number, int(time.time()) // _DAY_S)
    if f"{person.user}:{person.password_hash}:" not in told.get("shadow", ""):
        raise StorageFault("It has no /etc/shadow, so {user} can have no password.",
                           user=person.user)  # fmt: skip
    files = {
        f"/etc/{name}": NewFile(data=text.encode("latin-1"), mode=_ACCOUNTS[name])
        for name, text in told.items()
    }
    if is_new:
        home = f"/home/{person.user}"
        files[home] = NewFile(folder=True, mode=0o700, owner=number)
        for name in (".bashrc", ".profile", ".bash_logout"):
            data = root.read(f"/etc/skel/{name}")
            if data is not None:
                files[f"{home}/{name}"] = NewFile(data=data, owner=number)
    return files


def _text(root: ExtFiles, name: str) -> str:
    return (root.read(name) or b"").decode("latin-1")
