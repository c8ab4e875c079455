"""Write an identity to the disk of a machine that is off. The machine does not boot. This is for a
Linux on ext4 that has neither cloud-init nor a guest agent."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pizarra.errors import StorageFault
from pizarra.model.facts import Seat, Volume
from pizarra.planner import identity as planner
from pizarra.planner import identity_files
from pizarra.planner.identity import Person
from pizarra.service.context import Context
from pizarra.system.ext_files import ExtFiles, NewFile, linux_root
from pizarra.system.process import run

_ASKED_INSTEAD = (
    "/usr/bin/cloud-init", "/usr/local/bin/cloud-init", "/usr/sbin/qemu-ga", "/usr/bin/qemu-ga",
)  # fmt: skip
_KEYS = ("rsa", "ecdsa", "ed25519")
_GONE = ("/var/lib/dbus/machine-id",)
_ACCOUNTS = {"passwd": 0o644, "group": 0o644, "shadow": 0o640, "gshadow": 0o640}
_SKELETON = (".bashrc", ".profile", ".bash_logout")
_READ = (  # all that is looked at, to look at it at once
    *_ASKED_INSTEAD,
    *("/etc/hostname", "/etc/hosts", "/etc/selinux/config"),
    *(f"/etc/{name}" for name in _ACCOUNTS),
    *(f"/etc/skel/{name}" for name in _SKELETON),
    *(f"/etc/ssh/ssh_host_{kind}_key" for kind in _KEYS),
)
_DAY_S = 86_400


def write(context: Context, seat: Seat, person: Person) -> bool:
    """Write an identity. Returns False, and changes nothing, when the system has cloud-init or an
    agent, or cannot be read. The machine is off. Raises StorageFault."""
    with _root_of(context, seat) as root:
        if root is None:
            return False
        root.load(_READ)
        if any(root.has(name) for name in _ASKED_INSTEAD):
            return False
        new = _file_names(root, seat)
        kinds = [kind for kind in _KEYS if root.has(f"/etc/ssh/ssh_host_{kind}_key")]
        new |= _make_keys(kinds, f"root@{seat.name}")
        if person.user:
            new |= _account(root, person)
        if root.has("/etc/selinux/config"):
            new["/.autorelabel"] = NewFile()
        root.change(new, _GONE)
    return True


def restore_own(context: Context, seat: Seat) -> bool:
    """Write the seat's own name and keys, as its original has them, into the content of another
    seat. Returns False, and changes nothing, when the seat has none, or the system cannot be
    read."""
    if seat.identity is None:
        return False
    with _root_of(context, seat) as root, _original_root_of(context, seat) as own:
        if root is None or own is None:
            return False
        names = [name for kind in _KEYS for name in _key_files(kind)]
        own.load(names)
        keys = {name: own.read(name) for name in names}
        new = _file_names(root, seat)
        for name, data in keys.items():
            if data is not None:
                new[name] = NewFile(data=data, mode=_key_mode(name))
        root.change(new, [*_GONE, *(name for name in names if name not in new)])
    return True


@contextmanager
def _root_of(context: Context, seat: Seat) -> Iterator[ExtFiles | None]:
    with _first_root(context, seat.volumes, writable=True) as root:
        yield root


@contextmanager
def _original_root_of(context: Context, seat: Seat) -> Iterator[ExtFiles | None]:
    baselines = [seat.baselines[volume.uuid] for volume in seat.volumes]
    with _first_root(context, baselines, writable=False) as root:
        yield root


@contextmanager
def _first_root(
    context: Context, volumes: Sequence[Volume], *, writable: bool
) -> Iterator[ExtFiles | None]:
    for volume in volumes:
        storage = context.host.storage_of(volume)
        with storage.opening(volume, raw=True, writable=writable) as disk:
            if root := linux_root(disk):
                yield root
                return
    yield None


def _file_names(root: ExtFiles, seat: Seat) -> dict[str, NewFile]:
    old = _text(root, "/etc/hostname").strip()
    new = {
        "/etc/hostname": f"{seat.name}\n",
        "/etc/hosts": identity_files.hosts(_text(root, "/etc/hosts"), old, seat.name),
        "/etc/machine-id": f"{planner.machine_id(seat)}\n",
    }
    return {name: NewFile(data=text.encode("latin-1")) for name, text in new.items()}


def _key_files(kind: str) -> tuple[str, str]:
    return f"/etc/ssh/ssh_host_{kind}_key", f"/etc/ssh/ssh_host_{kind}_key.pub"


def _key_mode(name: str) -> int:
    return 0o644 if name.endswith(".pub") else 0o600


def _make_keys(kinds: Sequence[str], comment: str) -> dict[str, NewFile]:
    """Make new SSH host keys."""
    new: dict[str, NewFile] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            path = f"{folder}/{kind}"
            run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", comment, "-f", path])
            for name, file in zip(_key_files(kind), (path, f"{path}.pub"), strict=True):
                new[name] = NewFile(data=Path(file).read_bytes(), mode=_key_mode(name))
    return new


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
        for name in _SKELETON:
            data = root.read(f"/etc/skel/{name}")
            if data is not None:
                files[f"{home}/{name}"] = NewFile(data=data, owner=number)
    return files


def _text(root: ExtFiles, name: str) -> str:
    return (root.read(name) or b"").decode("latin-1")
