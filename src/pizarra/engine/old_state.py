"""What a Pizarra without a journal left beside the disks: read once, then written anew or removed.

That version kept the firmware's undo in a folder ``UUID.undo``, and noted a reset or an undo under
way as a symbolic link ``UUID.under-way``. What it kept for an undo stays; of an operation that it
was cut off in nobody can tell any more which parts of a seat go together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pizarra.engine.host import Host
from pizarra.errors import PizarraError, StorageFault
from pizarra.model.facts import Seat
from pizarra.model.sentence import Sentence

_LINK = ".under-way"


def migrate_old_state(host: Host, seats: Iterable[Seat]) -> Iterator[Sentence]:
    """``seats`` are all of the host. Says in words what an undo was dropped of. Raises
    StorageFault."""
    under_way = {path.name.removesuffix(_LINK) for path in _links(host)}
    for seat in seats:
        if under_way & {volume.uuid for volume in seat.volumes} and _has_parts(seat):
            host.discard_undo(seat.volumes)
            yield Sentence("{name}: its undo is dropped: a reset was cut off", name=seat.name)
        _adopt_firmware_undo(host, seat)
    try:
        for path in _links(host):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageFault("{name}: {cause}.", name=error.filename, cause=error.strerror) from None


def _links(host: Host) -> list[Path]:
    return list(host.undo_index.folder.glob(f"*{_LINK}"))


def _has_parts(seat: Seat) -> bool:
    """Whether parts of it might be of two times."""
    return len(seat.volumes) > 1 or bool(seat.labels.firmware_state)


def _adopt_firmware_undo(host: Host, seat: Seat) -> None:
    volume = seat.volumes[0]
    if not host.states.has_old_undo(volume):
        return
    filled, known = host.undo_slots([volume])[volume.uuid], host.undo_index.get(volume)
    if isinstance(filled, PizarraError) or known is None:
        return
    if slot := known.slot_among(filled):
        host.states.adopt_old_undo(volume, slot)
