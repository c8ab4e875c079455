"""After a restore: which of the notes about a moment are still about what is there.

LVM, the pool and libvirt say what *is*; a note of last week says what was meant then. So a note
about the content of a volume comes back only while storage says that this very content is still
there, by the words that the backup keeps (``UndoStore.content_ids``). What an undo holds never
changes, so its word is enough. A record of the journal needs the words of all that it is about. The
definition of an adopted machine needs the volumes of that same adoption. The rest is dropped, and
said. What is of a volume that cannot be seen now waits in the folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from pizarra.engine.events import Noted
from pizarra.engine.host import Host
from pizarra.engine.journal import DISK_ACTIONS, Journal, Record
from pizarra.errors import PizarraError, StorageFault
from pizarra.model.facts import Seat
from pizarra.model.sentence import N_
from pizarra.model.undo_slot import UndoSlot
from pizarra.service.backup.manifest import MANIFEST, RESTORED, Manifest, read_manifest
from pizarra.service.backup.save import PRESENT, adopted_of
from pizarra.service.context import HOST, Context
from pizarra.storage.interface import PRESENT as CONTENT
from pizarra.storage.interface import ContentIds
from pizarra.system.file_copies import move_atomically, sync
from pizarra.system.own_folder import opening_folder

Words = dict[str, ContentIds]


def settle_restored(context: Context) -> list[PizarraError]:
    """Put the notes of a restored backup in their places, or drop them; what stopped it. No verb is
    half-way meanwhile."""
    folder = restored_folder(context.host)
    if not folder.is_dir():
        return []
    try:
        with opening_folder(folder, ours=True) as fd:
            manifest = read_manifest(fd, folder)
        settling = _Settling(context, folder, manifest)
        with context.claim([HOST], N_("recover"), wait_s=context.wait_s):
            for room in context.host.observe().classrooms.values():
                settling.settle(room.seats)
            settling.settle_records()
    except PizarraError as error:
        return [error]
    except OSError as error:
        return [_fault(error)]
    return []


def restored_folder(host: Host) -> Path:
    """Where a restore leaves the notes about a moment."""
    return host.settings.state_folder / RESTORED


def put_back_states(context: Context, seats: Iterable[Seat], defined: Collection[str]) -> None:
    """Machines that libvirt had lost get back what they had beside their disks, where their disks
    have had the same content since. The caller has claimed them."""
    host = context.host
    for seat in seats:
        folder = restored_folder(host) / PRESENT / seat.volumes[0].uuid
        if not folder.is_dir():
            continue
        if seat.name in defined:
            try:
                host.states.put_back(seat.volumes[0], folder)
            except PizarraError as error:
                context.emit(Noted(text=N_("Not recovered: {why}"), facts={"why": error}))
                continue
        shutil.rmtree(folder)  # libvirt has what is: a younger one


class _Settling:
    """One restored backup, and what there is."""

    def __init__(self, context: Context, folder: Path, manifest: Manifest) -> None:
        self.context, self.host = context, context.host
        self.folder, self.then = folder, manifest
        self.machines = self.host.states.folder
        self.now: Words = {}  # of the volumes that were seen

    def settle(self, seats: Collection[Seat]) -> None:
        """The seats of a classroom. Raises what storage cannot tell."""
        volumes = [volume for seat in seats for volume in seat.volumes]
        self.now |= {one.uuid: {} for one in volumes}
        for uuid, words in self.host.content_ids(volumes).items():
            if isinstance(words, PizarraError):
                raise words
            self.now[uuid] = words
        for seat in seats:
            self._settle_undo(seat)
            self._settle_definition(seat)
            first = seat.volumes[0].uuid
            if not self._is_same(first, CONTENT):
                self._drop(self.folder / PRESENT / first)

    def _is_same(self, uuid: str, *names: str) -> bool:
        """Whether a volume and its slots of these names have the contents of then."""
        then, now = self.then.contents.get(uuid, {}), self.now.get(uuid, {})
        return bool(then) and all(then.get(name) == now.get(name) for name in names)

    def _settle_undo(self, seat: Seat) -> None:
        notes = {one.uuid: self.folder / "undo" / one.uuid for one in seat.volumes}
        for uuid in notes:
            self._settle_slots(uuid)
        there = {uuid: note for uuid, note in notes.items() if note.is_file()}
        if not there:
            return
        if any(map(self.host.undo_index.get, seat.volumes)):  # of this host, and younger
            for note in there.values():
                self._drop(note)
            return
        if len(there) == len(notes) and all(map(self._is_about_now, there, there.values())):
            for note in there.values():
                _move(note, self.host.undo_index.folder)
            return
        for note in there.values():
            self._drop(note)
        text = N_("{name}: its undo is not that of the backup, and cannot be told any more")
        self.context.emit(Noted(text=text, facts={"name": seat.name}))

    def _is_about_now(self, uuid: str, note: Path) -> bool:
        """A note of a Pizarra without a journal names no slot: then it is any."""
        named = {*note.read_text(encoding="ascii").split()} & {*UndoSlot}
        return self._is_same(uuid, *(named or UndoSlot)) and any(
            slot in self.now[uuid] for slot in named or UndoSlot
        )

    def _settle_slots(self, uuid: str) -> None:
        """What the machine had beside its disks then, in the slots of its first volume."""
        for slot in UndoSlot:
            kept = self.folder / "machines" / f"{uuid}.undo-{slot}"
            if not kept.is_dir():
                continue
            is_filled = slot in self.now.get(uuid, {})
            if is_filled and self._is_same(uuid, slot) and not (self.machines / kept.name).exists():
                _move(kept, self.machines)
            else:
                self._drop(kept)

    def _settle_definition(self, seat: Seat) -> None:
        made = self.folder / "definitions" / f"{seat.domain_uuid}.xml"
        if not made.is_file():
            return
        is_same = self.then.adopted.get(seat.domain_uuid) == adopted_of([seat]).get(
            seat.domain_uuid
        )
        if is_same and self.host.definitions.get(seat.domain_uuid) is None:
            _move(made, self.host.definitions.folder)
        else:
            self._drop(made)

    def settle_records(self) -> None:
        """Of operations that were cut off when the backup was made."""
        journal = Journal(self.folder / "journal")
        records, unreadable = journal.records()
        for record in records:
            self._settle_record(journal, record)
        for one in unreadable:
            self.context.emit(Noted(text=N_("Dropped: {why}"), facts={"why": one.why}))
            self._drop(one.path)

    def _settle_record(self, journal: Journal, record: Record) -> None:
        """Only seats of which every content is as it was when the record was open."""
        path = journal.folder / f"{record.id}.json"
        if (self.host.journal.folder / path.name).exists():
            self._drop(path)  # it is here still, and may say more
            return
        if any(v.uuid not in self.now for seat in record.open for v in seat.volumes):
            return  # it waits
        over = {
            seat.seat
            for seat in record.open
            if record.action not in DISK_ACTIONS
            or not all(self._is_same(v.uuid, CONTENT, *UndoSlot) for v in seat.volumes)
        }
        if over:
            text = N_("{names}: what was cut off before the backup ({verb}) is not gone on with")
            facts: dict[str, object] = {"names": ", ".join(sorted(over)), "verb": record.verb}
            self.context.emit(Noted(text=text, facts=facts))
            with journal.take_over(record) as opened:
                opened.close_seats(over)
        if path.exists():
            _move(path, self.host.journal.folder)

    def _drop(self, path: Path) -> None:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def forget_restored(host: Host) -> None:
    """Remove the folder once nothing waits in it. Raises StorageFault."""
    folder = restored_folder(host)
    if not folder.is_dir():
        return
    try:
        waiting = [one for one in folder.rglob("*") if one.is_file() and one.name != MANIFEST]
        if not waiting:
            shutil.rmtree(folder)
            sync(folder.parent)
    except OSError as error:
        raise _fault(error) from None


def _move(path: Path, folder: Path) -> None:
    """To another folder of the same file system, durably. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = folder / f".{path.name}.restored"
    path.rename(new)
    move_atomically(new, folder / path.name)


def _fault(error: OSError) -> StorageFault:
    return StorageFault(
        "What was restored cannot be put in its place: {path}: {why}.",
        "Mend that, and run: pizarra recover",
        path=error.filename or "",
        why=error.strerror,
    )
