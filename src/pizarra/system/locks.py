"""Two kinds of lock: LVM's own on a volume group, and ours on seats, classrooms, templates."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from pizarra.errors import Busy, StorageFault
from pizarra.model.sentence import Sentence

LVM_LOCKS = Path("/run/lock/lvm")
# of what a machine has once, whatever its settings say: a pool's metadata, a switch of the kernel
HOST_LOCKS = Path("/run/pizarra/locks")


@contextmanager
def holding_vg_lock(vg: str, *, timeout_s: float = 30, folder: Path = LVM_LOCKS) -> Iterator[None]:
    """Hold LVM's exclusive lock on a VG, as lvm does (lib/locking/file_locking.c).

    LVM commands wait meanwhile, so hold the lock for milliseconds. LVM unlinks the file when LVM
    releases the lock. So the locked file may no longer be the file of that name: then lock again.
    Raises StorageFault after ``timeout_s``.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"V_{vg}"
    deadline = time.monotonic() + timeout_s
    while True:
        fd = os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            _flock_until(fd, deadline, vg)
            if _is_still_named(fd, path):
                yield
                return
        finally:
            os.close(fd)


def _flock_until(fd: int, deadline: float, vg: str) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StorageFault(
                    "Another LVM command has held the volume group {vg} for too long.",
                    "See which with: fuser -v /run/lock/lvm/V_{vg}",
                    vg=vg,
                ) from None
            time.sleep(0.002)
        else:
            return


def _is_still_named(fd: int, path: Path) -> bool:
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    held = os.fstat(fd)
    return (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino)


@contextmanager
def claiming(
    names: Iterable[str],
    verb: str,
    *,
    folder: Path,
    shared: Iterable[str] = (),
    wait_s: float = 0,
) -> Iterator[None]:
    """Claim seats, classrooms or templates by name for one verb: all or none, in sorted order.

    ``names`` are claimed alone, ``shared`` names together with others. Whoever works on some seats
    of a classroom shares the classroom; whoever works on all seats claims the classroom alone.

    The kernel drops the locks with the process, however it ends. Raises Busy, which names the
    holder, if a claim is not free within ``wait_s``.
    """
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    with ExitStack() as held:
        for name in sorted(set(shared)):
            held.enter_context(_claiming_one(folder / name, verb, fcntl.LOCK_SH, wait_s))
        for name in sorted(set(names)):
            held.enter_context(_claiming_one(folder / name, verb, fcntl.LOCK_EX, wait_s))
        yield


@contextmanager
def _claiming_one(path: Path, verb: str, operation: int, wait_s: float) -> Iterator[None]:
    deadline = time.monotonic() + wait_s
    with path.open("a+", encoding="utf-8") as file:
        while True:
            try:
                fcntl.flock(file, operation | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise _busy(path) from None
                time.sleep(0.02)
        file.truncate(0)
        since = datetime.now().astimezone().isoformat(timespec="seconds")
        json.dump({"verb": verb, "pid": os.getpid(), "user": who(), "since": since}, file)
        file.flush()
        yield


def who() -> str:
    """The user's name; with sudo, the name of the user who called sudo."""
    if name := os.environ.get("SUDO_USER"):
        return name
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _busy(path: Path) -> Busy:
    try:
        who = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        who = {}
    return Busy(
        "{name} is busy: {verb} by {user}, process {pid}, since {since}.",
        "Wait for it to end, then try again.",
        name=path.name,
        verb=who.get("verb") or Sentence("something"),
        user=who.get("user") or Sentence("somebody"),
        pid=who.get("pid", "?"),
        since=who.get("since") or Sentence("a moment ago"),
    )
