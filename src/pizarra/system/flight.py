"""The flight record: each change of the host is written down before it is made.

The last entries are in ``FLIGHT``. A process that works on the host also writes them to a file in
a folder of the host's state. The file outlives the process, so its last line tells where a process
hung or was killed.

Tests of power cuts stop a process at a named step. ``PIZARRA_PAUSE_AT='delete #3'`` waits for ever
before the third entry that contains ``delete``; ``#7`` waits before the seventh entry of any kind.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

FLIGHT: deque[str] = deque(maxlen=200)
_FILES_KEPT, _GUARD_FILES_KEPT = 20, 3
_GUARD = "-guard"
_FILE_BYTES_MOST = 4 << 20
PAUSED = "pizarra: paused before"


class _Recorder:
    """The flight record of one process."""

    def __init__(self) -> None:
        self.file: int | None = None  # a descriptor: a buffer would try a write that failed again
        self.left_bytes = 0
        self.witness: Callable[[str], None] | None = None
        self.lock = Lock()
        self.read_pause()

    def read_pause(self) -> None:
        """Read from the environment where to stop, counted from now."""
        said = os.environ.get("PIZARRA_PAUSE_AT", "")
        text, _, count = said.partition("#")
        self.pauses, self.pause_at = bool(said), text.strip()
        self.left = int(count) if count.isdecimal() else 1

    def note(self, what: str) -> None:
        """Add an entry, and wait if the process is to stop here."""
        line = f"{datetime.now(UTC).time().isoformat('microseconds')} {what}"
        FLIGHT.append(line)
        if self.witness is not None:
            self.witness(what)
        self.write(line)
        if self.pauses and self.pause_at in what:
            self._pause(what)

    def write(self, line: str) -> None:
        """Add a line to the file. A disk that is full stops no operation for its record."""
        data = f"{line}\n".encode(errors="replace")
        if self.file is not None and len(data) <= self.left_bytes:
            with suppress(OSError):
                self.left_bytes -= os.write(self.file, data)

    def _pause(self, what: str) -> None:
        with self.lock:
            self.left -= 1
            here = self.left == 0
        if here:
            os.write(2, f"{PAUSED} {what}\n".encode())
        while self.left <= 0:  # the other threads stop at their next such step too
            time.sleep(3600)


_recorder = _Recorder()


def restart_pauses() -> None:
    """Read PIZARRA_PAUSE_AT again, and count from now."""
    _recorder.read_pause()


def set_witness(witness: Callable[[str], None] | None) -> None:
    """Tell somebody of each step before it happens; None tells nobody. A test that kills an
    operation raises from there."""
    _recorder.witness = witness


def record(what: str) -> None:
    """Write down what is about to happen."""
    _recorder.note(what)


def keep_on_disk(folder: Path, title: str) -> None:
    """Write the entries to a file too, from now on. The last twenty files stay.

    The guard, which a timer runs each minute, has three files of its own: the guard pushes no other
    file out.
    """
    is_guard = title.partition(" ")[2].startswith("guard")
    kind, most = (_GUARD, _GUARD_FILES_KEPT) if is_guard else ("", _FILES_KEPT)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        alike = [path for path in flights(folder) if path.name.endswith(_GUARD) == is_guard]
        for old in alike[most - 1 :]:
            old.unlink(missing_ok=True)
        path = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}{kind}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        _recorder.file, _recorder.left_bytes = os.open(path, flags, 0o600), _FILE_BYTES_MOST
    except OSError:
        return
    _recorder.write(title)


def stop_keeping() -> None:
    """Close the file; entries are kept in memory only."""
    if _recorder.file is not None:
        os.close(_recorder.file)
        _recorder.file = None


def flights(folder: Path) -> list[Path]:
    """The files of flight records, the newest first."""
    return sorted(folder.iterdir(), reverse=True) if folder.is_dir() else []
