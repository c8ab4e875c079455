"""Which machines ran, for the first ``recover`` after the next boot: libvirt forgets that.

The guard notes it each minute in ``power.json``. After a boot the note is of another boot; then
``begin_boot`` makes its machines due. A machine is due until ``recover`` has found it whole once,
so nothing that somebody switches off later is started again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from pizarra.engine.host import Host
from pizarra.model.facts import Power, Seat
from pizarra.model.sentence import N_
from pizarra.system.file_copies import write_atomically
from pizarra.system.locks import claiming
from pizarra.system.shutdown import is_shutting_down

_WAIT_S = 10.0


class _Note(BaseModel):
    boot: str
    ran: dict[str, bool]  # by UUID of the machine
    due: dict[str, bool] = Field(default_factory=dict)  # those of before this boot: whether it ran


def note_power(host: Host, seats: Sequence[Seat]) -> None:
    """Note which machines run. A seat that a command works on keeps what is noted of it.

    Nothing is noted before ``begin_boot``, nor while the system goes down and takes machines with
    it. A disk that is full stops nobody.
    """
    with _claiming(host):
        last = _read(host) or _Note(boot=host.boot, ran={})
        under_way = host.journal.entries()
        ran = {
            seat.domain_uuid: last.ran.get(seat.domain_uuid, False)
            if seat.name in under_way
            else seat.power in (Power.RUNNING, Power.PAUSED)
            for seat in seats
        }
        if last.boot != host.boot or ran == last.ran:
            return
        if any(was and not ran.get(uuid) for uuid, was in last.ran.items()) and is_shutting_down():
            return
        _write(host, last.model_copy(update={"ran": ran}))


def begin_boot(host: Host) -> dict[str, bool]:
    """By UUID, the machines that are due after this boot, and whether each ran before it."""
    with _claiming(host):
        note = _read(host)
        if note is not None and note.boot != host.boot:
            due = {uuid: ran or note.due.get(uuid, False) for uuid, ran in note.ran.items()}
            note = _Note(boot=host.boot, ran=dict.fromkeys(note.ran, False), due=due)
            _write(host, note)
        return note.due if note else {}


def settle_due(host: Host, machines: Iterable[str]) -> None:
    """These were looked at: whatever became of them, this boot starts them no more."""
    gone = set(machines)
    with _claiming(host):
        note = _read(host)
        if note is not None and gone & note.due.keys():
            left = {uuid: ran for uuid, ran in note.due.items() if uuid not in gone}
            _write(host, note.model_copy(update={"due": left}))


def _claiming(host: Host) -> AbstractContextManager[None]:
    """The guard and ``recover`` change the note in turns."""
    folder = host.settings.lock_folder
    return claiming(["power.json"], N_("guard"), folder=folder, wait_s=_WAIT_S)


def _file(host: Host) -> Path:
    return host.settings.state_folder / "power.json"


def _read(host: Host) -> _Note | None:
    try:
        return _Note.model_validate_json(_file(host).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        return None


def _write(host: Host, note: _Note) -> None:
    with suppress(OSError):
        _file(host).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(_file(host), note.model_dump_json())
