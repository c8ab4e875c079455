"""Two kinds of lock: LVM's own on a volume group, and ours on seats, classrooms, templates."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import resource
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from pizarra.errors import Busy, StorageFault
from pizarra.model.sentence import Sentence

LVM_LOCKS = Path("/run/lock/lvm")
# of what a machine has once, whatever its settings say: a pool's metadata, a switch of the kernel
HOST_LOCKS = Path("/run/pizarra/locks")
_LOOK_EVERY_S = 0.02
_FILES_OPEN_ELSEWHERE = 1024


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

    A name is ``KIND:NAME``: a classroom may have the name of a seat of another classroom. What has
    no kind is one thing of the host. ``names`` are claimed alone, ``shared`` names together with
    others. Whoever works on some seats of a classroom shares the classroom; whoever works on all
    seats claims the classroom alone.

    The kernel drops the locks with the process, however it ends. Raises Busy, which names the
    holder, if a claim is not free within ``wait_s``.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:  # whoever can open a file can lock it: flock(2)
        folder.chmod(0o700)
    names, shared = sorted(set(names)), sorted(set(shared))
    _allow_open_files(2 * (len(names) + len(shared)))
    with ExitStack() as held:
        for operation, these in ((fcntl.LOCK_SH, shared), (fcntl.LOCK_EX, names)):
            for name in these:
                held.enter_context(_claiming_one(folder / name, verb, operation, wait_s))
                held.enter_context(_claiming_from_old(folder, name, operation, wait_s))
        yield


def _allow_open_files(more: int) -> None:
    """A claim is two open files, and the usual limit is 1024 files a process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(more + _FILES_OPEN_ELSEWHERE, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextmanager
def _claiming_from_old(folder: Path, name: str, operation: int, wait_s: float) -> Iterator[None]:
    """Keep out processes of the first version, which go on during an upgrade of Pizarra: they
    claim by the name alone. Their claim of a seat is never shared, so a shared one keeps it out.
    """
    kind, colon, plain = name.partition(":")
    old = folder / (f"template-{plain}" if kind == "template" else plain)
    if not colon:
        yield
        return
    if kind == "seat":
        operation = fcntl.LOCK_SH
    with old.open("a+", encoding="utf-8") as file:
        deadline = time.monotonic() + wait_s
        while not _has_lock(file.fileno(), operation):
            if _is_of_new_process(folder, name, old.name):
                break
            if time.monotonic() >= deadline:
                raise _busy(old)
            time.sleep(_LOOK_EVERY_S)
        yield


def _is_of_new_process(folder: Path, own: str, old: str) -> bool:
    """Whether the old name is held for something of another kind, by a process like this one."""
    alike = {f"seat:{old}", f"classroom:{old}", f"template:{old.removeprefix('template-')}"}
    for path in (folder / one for one in alike - {own}):
        if path.exists():
            with path.open("a+", encoding="utf-8") as file:
                if not _has_lock(file.fileno(), fcntl.LOCK_EX):
                    return True
    return False


def _has_lock(fd: int, operation: int) -> bool:
    try:
        fcntl.flock(fd, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _claiming_one(path: Path, verb: str, operation: int, wait_s: float) -> Iterator[None]:
    deadline = time.monotonic() + wait_s
    with path.open("a+", encoding="utf-8") as file:
        while not _has_lock(file.fileno(), operation):
            if time.monotonic() >= deadline:
                raise _busy(path)
            time.sleep(_LOOK_EVERY_S)
        since = datetime.now().astimezone().isoformat(timespec="seconds")
        said = {"verb": verb, "pid": os.getpid(), "user": who(), "since": since}
        with suppress(OSError):  # the lock counts, and not its text: a full disk keeps nobody out
            file.truncate(0)
            os.write(file.fileno(), json.dumps(said).encode())
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
        name=path.name.rpartition(":")[2],
        verb=who.get("verb") or Sentence("something"),
        user=who.get("user") or Sentence("somebody"),
        pid=who.get("pid", "?"),
        since=who.get("since") or Sentence("a moment ago"),
    )
