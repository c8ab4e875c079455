"""The journal: what an operation means to do, written down before the first step that nobody can
take back.

An operation writes one file to the folder ``journal`` of the state folder. The first line says
everything that the operation means to do. Later lines say which seats are done, and which seats
the record is no longer about. The operation deletes the file when all is over. While the operation
lives it holds a lock (flock) on the file, so the kernel tells whether the owner is dead.
docs/formats.md describes the file; ``engine/recovery.py`` goes on with the record of a dead owner.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from threading import Lock

from pydantic import TypeAdapter, ValidationError

from pizarra.errors import Busy, PizarraError, StorageFault
from pizarra.model.facts import StorageKind
from pizarra.model.undo_slot import UndoSlot
from pizarra.system import flight
from pizarra.system.file_copies import sync
from pizarra.system.refusals import hint_of

FORMAT = 1
_SUFFIX, _NEW = ".json", ".new"
_LOOK_EVERY_S = 0.02


class Action(StrEnum):
    """What is done to the seats of a record."""

    REWIND = "rewind"  # each volume gets the content of its source
    UNDO = "undo"  # each volume changes places with what is kept of it
    SWAP_DATA = "swap-data"  # each seat gets these data disks
    IDENTIFY = "identify"  # each machine boots with a seed, and is rewound if that is cut off


DISK_ACTIONS = frozenset({Action.REWIND, Action.UNDO})  # that change the disks that go back


class UndoRule(StrEnum):
    """What becomes of the content that a rewind takes away, and of an older one that is kept."""

    SAVE = "save"  # it is saved in the slot, and the older one goes
    STAYS = "stays"  # it goes for good, and the older one stays
    NONE = "none"  # both go for good


class PowerAfter(StrEnum):
    """What the machine of a seat shall do when its disks are right."""

    OFF = "off"
    START = "start"
    WAKE = "wake"  # from the RAM that was saved with the source
    RESUME = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeEntry:
    """One volume of a seat."""

    uuid: str
    kind: StorageKind
    place: str
    name: str
    source: str = ""  # UUID of the volume whose content it gets; empty where there is none
    slot: UndoSlot | None = None  # that the present content goes to; None: it goes for good
    kept: UndoSlot | None = None  # of an undo: that holds the content that the volume gets


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatEntry:
    """What is meant to become of one seat."""

    seat: str
    classroom: str
    number: int
    domain: str  # UUID of its machine
    volumes: tuple[VolumeEntry, ...]
    undo: UndoRule = UndoRule.STAYS
    state: str = ""  # what goes with the first volume: nvram, tpm, nvram+tpm
    power: PowerAfter = PowerAfter.OFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One operation, and how far it came."""

    format: int = FORMAT
    id: str
    verb: str
    action: Action
    who: str
    when: float  # seconds since 1970
    seats: tuple[SeatEntry, ...]
    begun: frozenset[str] = field(default=frozenset())  # names of seats that keep nothing
    done: frozenset[str] = field(default=frozenset())  # names of seats
    closed: frozenset[str] = field(default=frozenset())  # that another record or nobody is about

    @property
    def open(self) -> tuple[SeatEntry, ...]:
        """The seats that the record is still about."""
        return tuple(one for one in self.seats if one.seat not in self.closed)

    @property
    def left(self) -> tuple[SeatEntry, ...]:
        """The seats that are not done."""
        return tuple(one for one in self.open if one.seat not in self.done)

    def done_of(self, names: Iterable[str]) -> tuple[SeatEntry, ...]:
        """Of these seats, those that are done and still open."""
        wanted = {*names} & self.done
        return tuple(one for one in self.open if one.seat in wanted)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file of the journal that says nothing that we understand."""

    path: Path
    why: PizarraError


@cache
def _header() -> TypeAdapter[Record]:
    return TypeAdapter(Record)


class OpenRecord:
    """A record whose lock this process holds. Leaving the context lets go of the lock; only
    ``close`` deletes the file."""

    def __init__(self, path: Path, fd: int, record: Record) -> None:
        self.path = path
        self.record = record
        self._fd = fd
        self._lock = Lock()

    def __enter__(self) -> OpenRecord:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def mark_begun(self, names: Collection[str]) -> None:
        """The disks of these seats, of which nothing is saved, are about to change. Outlives the
        process, and need not outlive a loss of power: then every machine is off, and a machine
        that is off is completed in any case. Raises StorageFault."""
        with self._lock:
            self._append({"begun": sorted(names)}, lasting=False)
            self.record = _with(self.record, begun=names)

    def mark_done(self, names: Collection[str]) -> None:
        """The disks of these seats are right. Lasting when this returns. Raises StorageFault."""
        with self._lock:
            self._append({"done": sorted(names)})
            self.record = _with(self.record, done=names)

    def close_seats(self, names: Collection[str]) -> None:
        """The record is no longer about these seats; without any, it is deleted. Raises
        StorageFault."""
        with self._lock:
            those = {one.seat for one in self.record.open} & {*names}
            if not those:
                return
            now = _with(self.record, closed=those)
            if now.open:
                self._append({"closed": sorted(those)})
            self.record = now
        if not self.record.open:
            self.close()

    def close(self) -> None:
        """All is over. Raises StorageFault."""
        flight.record(f"journal remove {self.path.name}")
        with _os_errors(self.path):
            self.path.unlink(missing_ok=True)

    def _append(self, said: Mapping[str, list[str]], *, lasting: bool = True) -> None:
        """The line end comes first, so that a line that was cut short spoils no other."""
        if not any(said.values()):
            return
        flight.record(f"journal append {json.dumps(said)}")
        with _os_errors(self.path):
            _write(self._fd, f"\n{json.dumps(said)}\n")
            if lasting:
                os.fsync(self._fd)


def _with(
    record: Record,
    *,
    begun: Iterable[str] = (),
    done: Iterable[str] = (),
    closed: Iterable[str] = (),
) -> Record:
    """``dataclasses.replace`` without its look at each field's default."""
    return Record(
        format=record.format,
        id=record.id,
        verb=record.verb,
        action=record.action,
        who=record.who,
        when=record.when,
        seats=record.seats,
        begun=record.begun | {*begun},
        done=record.done | {*done},
        closed=record.closed | {*closed},
    )


class Journal:
    """The records of one host."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, verb: str, action: Action, who: str, seats: Iterable[SeatEntry]) -> OpenRecord:
        """A new record, lasting when this returns. Raises StorageFault."""
        with _os_errors(self.folder):
            _make_folder(self.folder)
            number = 1 + max((_number(path) for path in self._paths()), default=0)
            new = Record(
                id=f"{number:08d}-{os.getpid()}-{os.urandom(3).hex()}",
                verb=verb,
                action=action,
                who=who,
                when=time.time(),
                seats=tuple(seats),
            )
            flight.record(f"journal write {new.id}: {new.verb}")
            return self._write(new)

    def _write(self, said: Record) -> OpenRecord:
        path = self._path(said)
        new = path.with_suffix(_NEW)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        fd = os.open(new, flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write(fd, _header_text(said) + "\n")
            os.fsync(fd)
            new.rename(path)
            sync(self.folder)
        except OSError:
            os.close(fd)
            with suppress(OSError):
                new.unlink(missing_ok=True)
                path.unlink(missing_ok=True)
            raise
        return OpenRecord(path, fd, said)

    def records(self) -> tuple[list[Record], list[Unreadable]]:
        """All that there are, the oldest first, with owners alive or dead."""
        records, unreadable = list[Record](), list[Unreadable]()
        for path in self._paths():
            try:
                records.append(read_record(path))
            except FileNotFoundError:
                continue  # its operation ended this moment
            except PizarraError as error:
                unreadable.append(Unreadable(path, error))
        return records, unreadable

    def entries(self) -> dict[str, tuple[Record, SeatEntry]]:
        """By name of seat: what the last record that is still about the disks that go back of the
        seat says."""
        found: dict[str, tuple[Record, SeatEntry]] = {}
        for record in self.records()[0]:
            if record.action not in DISK_ACTIONS:
                continue
            found |= {one.seat: (record, one) for one in record.open}
        return found

    def last_change(self, record: Record) -> float:
        """When its operation last said something; seconds since 1970, 0.0 when it is gone."""
        try:
            return self._path(record).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def is_owner_alive(self, record: Record) -> bool:
        """Whether some process holds its lock."""
        try:
            with self.take_over(record):
                return False
        except Busy:
            return True
        except StorageFault:
            return False

    def take_over(self, record: Record, *, wait_s: float = 0) -> OpenRecord:
        """The record of a dead owner, as it is now. Raises Busy while somebody holds it,
        StorageFault when it is gone or cannot be read."""
        path = self._path(record)
        with _os_errors(path):
            fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            try:
                _lock(fd, path, time.monotonic() + wait_s)
                if not path.exists():  # closed while we waited
                    raise FileNotFoundError(2, "its operation has ended", str(path))
                return OpenRecord(path, fd, read_record(path))
            except BaseException:
                os.close(fd)
                raise

    def remove_unfinished(self) -> None:
        """New files whose writer died before the record was one. Raises StorageFault."""
        with _os_errors(self.folder):
            for path in self.folder.glob(f"*{_NEW}"):
                with suppress(FileNotFoundError), path.open("rb") as file, suppress(OSError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()

    def _path(self, record: Record) -> Path:
        return self.folder / f"{record.id}{_SUFFIX}"

    def _paths(self) -> list[Path]:
        """Raises OSError: a folder that cannot be read is not an empty one, as ``glob`` has it."""
        if not self.folder.exists():
            return []
        return sorted(path for path in self.folder.iterdir() if path.suffix == _SUFFIX)


def volumes_in_records(journal: Journal, all_volumes: Iterable[str]) -> frozenset[str]:
    """The UUIDs of volumes that an open record is about, of an owner alive or dead. While a record
    cannot be read, that may be any of ``all_volumes``."""
    records, unreadable = journal.records()
    if unreadable:
        return frozenset(all_volumes)
    return frozenset(volume.uuid for one in records for seat in one.open for volume in seat.volumes)


def read_record(path: Path) -> Record:
    """Raises StorageFault for a damaged file, FileNotFoundError."""
    try:
        first, *more = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(path, error) from None
    try:
        record = _header().validate_json(first)
    except ValidationError as error:
        raise _damaged(path, error.errors()[0]["msg"]) from None
    if record.format > FORMAT:
        raise StorageFault(
            "The record {path} is of a newer Pizarra (format {format}).",
            "Install that version again, and run: pizarra recover",
            path=path,
            format=record.format,
        )
    found: dict[str, set[str]] = {"begun": set(), "done": set(), "closed": set()}
    for line in more:
        said = _line_parsed(line)
        for key, names in found.items():
            names.update(said.get(key, ()))
    return _with(record, **found)


def _line_parsed(line: str) -> Mapping[str, list[str]]:
    """Nothing for a line that was cut short: what it would say has not happened."""
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    if not isinstance(said, dict):
        return {}
    return {key: value for key, value in said.items() if _is_names(value)}


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _damaged(path: Path, why: object) -> StorageFault:
    return StorageFault(
        "The record {path} of an operation cannot be read: {why}.",
        "Look at it and at the seats of that classroom, then remove it: rm {path}",
        path=path,
        why=why,
    )


def _header_text(record: Record) -> str:
    said = _header().dump_json(record, exclude={"begun", "done", "closed"}, exclude_defaults=False)
    return said.decode()


def _number(path: Path) -> int:
    digits = path.name.partition("-")[0]
    return int(digits) if digits.isdecimal() else 0


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync(folder.parent)


def _write(fd: int, text: str) -> None:
    data = text.encode()
    while data:
        data = data[os.write(fd, data) :]


def _lock(fd: int, path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise Busy(
                    "Another command works by the record {path}.",
                    "Wait for it to end, then try again.",
                    path=path,
                ) from None
            time.sleep(_LOOK_EVERY_S)
        else:
            return


@contextmanager
def _os_errors(path: Path) -> Iterator[None]:
    """Whatever the system refuses is a fault, with a next step where there is one."""
    try:
        yield
    except OSError as error:
        raise StorageFault(
            "The record of this operation cannot be kept: {path}: {why}.",
            hint_of(error),
            path=error.filename or path,
            why=error.strerror,
        ) from None
