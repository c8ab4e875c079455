"""What is noted of what resets took away: files by the UUIDs of volumes.

*When* it was taken away, and that it was of this very volume: LVM gives thin ids anew when a volume
is gone, and nobody shall get what another had. What is kept without a note is nobody's.

While contents are about to change hands there is a second note: of what is done, to what, and of
the mark of what is kept. It is a symbolic link to that text, so that one flush of the folder makes
all of them last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pizarra.errors import StorageFault
from pizarra.model.facts import Seat, Volume
from pizarra.system.file_copies import sync

NOTES = Path("/var/lib/pizarra/undo")


@dataclass(frozen=True, slots=True)
class Note:
    """Of a volume whose content was about to change hands."""

    what: str  # a reset, an undo
    source: str  # UUID of what its content was to be that of
    mark: str  # of what was kept of it before
    at: float  # seconds since 1970


def begin(what: str, sources: Mapping[Volume, str], marks: Mapping[str, str]) -> None:
    """Noted before: now these get what is in volumes of these UUIDs. Raises StorageFault."""
    try:
        NOTES.mkdir(parents=True, exist_ok=True)
        for volume, source in sources.items():
            (NOTES / volume.uuid).touch()
            _link(volume).unlink(missing_ok=True)
            _link(volume).symlink_to(f"{what} {source} {marks.get(volume.uuid, '-')}")
        sync(NOTES)
    except OSError as error:
        raise StorageFault("{name}: {cause}.", name=NOTES, cause=error.strerror) from None


def end(volumes: Sequence[Volume]) -> None:
    """All these were done."""
    for volume in volumes:
        _link(volume).unlink(missing_ok=True)


def _link(volume: Volume) -> Path:
    return NOTES / f"{volume.uuid}.under-way"


def under_way(volume: Volume) -> Note | None:
    """What was about to be done of it, until it is ended."""
    try:
        words, at = str(_link(volume).readlink()).split(), _link(volume).lstat().st_mtime
    except FileNotFoundError:
        return None
    if len(words) != 3:
        return None
    what, source, mark = words
    return Note(what, source, mark, at)


def is_under_way(seat: Seat) -> bool:
    """Whether something is, or was cut off."""
    return any(_link(volume).is_symlink() for volume in seat.volumes)


def since(volume: Volume) -> float | None:
    """When it was (seconds since 1970); None when nothing was noted."""
    try:
        return (NOTES / volume.uuid).stat().st_mtime
    except FileNotFoundError:
        return None


def has_note(seat: Seat) -> bool:
    """Whether something may be kept of it."""
    return any(since(volume) is not None for volume in seat.volumes)


def forget(volumes: Sequence[Volume]) -> None:
    """Nothing is kept of these any more."""
    for volume in volumes:
        (NOTES / volume.uuid).unlink(missing_ok=True)
        _link(volume).unlink(missing_ok=True)
