"""Of which volumes an undo is kept, in which slot, and since when: a file a volume.

LVM gives thin ids anew when a volume is gone, and nobody shall get what another had. So a content
that storage keeps counts only with a file that has the UUID of the very volume. The time of the
file is when the content was taken away. It says the slot; it is empty when a Pizarra without a
journal wrote it, and then the slot is the one that is filled.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pizarra.errors import StorageFault
from pizarra.model.facts import Volume
from pizarra.model.undo_slot import UndoSlot
from pizarra.system import flight

_UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of the undo of a volume."""

    since: float  # seconds since 1970
    slot: UndoSlot | None
    is_undone: bool  # an undo that was cut off was completed: its command may come again

    def slot_among(self, filled: Collection[UndoSlot]) -> UndoSlot | None:
        """The slot that holds the undo; None when storage has none."""
        if self.slot in filled:
            return self.slot
        return next(iter(sorted(filled)), None)


class UndoIndex:
    """The files of one host."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, slots: Mapping[str, UndoSlot], since: float, *, undone: bool = False) -> None:
        """By UUID of the volume, the slots that hold an undo from now on. Raises StorageFault."""
        flight.record(f"undo index {' '.join(slots)}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for uuid, slot in slots.items():
                file = self.folder / uuid
                file.write_text(f"{slot} {_UNDONE}" if undone else str(slot), encoding="ascii")
                os.utime(file, (since, since))
        except OSError as error:
            raise StorageFault("{name}: {cause}.", name=self.folder, cause=error.strerror) from None

    def get(self, volume: Volume) -> Kept | None:
        """None when nothing is known of one."""
        file = self.folder / volume.uuid
        try:
            since, words = file.stat().st_mtime, file.read_text(encoding="ascii").split()
        except (OSError, UnicodeDecodeError):
            return None
        slot = next((one for one in UndoSlot if one in words), None)
        return Kept(since=since, slot=slot, is_undone=_UNDONE in words)

    def forget(self, volumes: Iterable[Volume]) -> None:
        """Nothing is kept of these any more. A file that stays is of nothing that storage keeps."""
        for volume in volumes:
            with suppress(OSError):
                (self.folder / volume.uuid).unlink()
