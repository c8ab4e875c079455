"""The flight record: each change of the host is written down before it is made.

The last entries are in ``FLIGHT``. A process that works on the host also writes them to a file in
a folder of the host's state. The file outlives the process, so its last line tells where a process
hung or was killed. The name of the file says how the process ended: files of those that failed or
died are kept for days, whatever ran since.

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
_GUARD, _FAILED, _WELL = "-guard", "-failed", "-well"
# newest first, by (of the guard, ended well): the guard runs each minute and pushes no other out
_FILES_KEPT = {(False, True): 20, (True, True): 3, (False, False): 500, (True, False): 100}
_DAY_S = 24 * 3600.0
_FILE_BYTES_MOST = 4 << 20
PAUSED = "pizarra: paused before"


class _Recorder:
    """The flight record of one process."""

    def __init__(self) -> None:
        self.file: int | None = None  # a descriptor: a buffer would try a write that failed again
        self.path = Path()
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


def keep_on_disk(folder: Path, title: str, days: float) -> None:
    """Write the entries to a file too, from now on. Files of before that need not stay are removed:
    ``days`` is how long those of commands that failed do."""
    is_guard = title.partition(" ")[2].startswith("guard")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_old(folder, days)
        path = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}{_GUARD * is_guard}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        _recorder.file, _recorder.left_bytes = os.open(path, flags, 0o600), _FILE_BYTES_MOST
    except OSError:
        return
    _recorder.path = path
    _recorder.write(title)


def stop_keeping(*, failed: bool) -> None:
    """The command has ended: close its file, and let the name say how it ended."""
    if path := _close():
        with suppress(OSError):
            path.rename(f"{path}{_FAILED if failed else _WELL}")


def forget_flight() -> None:
    """Nothing happened that anybody would look for: remove the file."""
    if path := _close():
        path.unlink(missing_ok=True)


def _close() -> Path | None:
    """The path of the file, if entries were kept in one."""
    if _recorder.file is None:
        return None
    os.close(_recorder.file)
    _recorder.file = None
    return _recorder.path


def _remove_old(folder: Path, days: float) -> None:
    counts = dict.fromkeys(_FILES_KEPT, 0)
    for path in flights(folder):
        kind = (_GUARD in path.name, path.name.endswith(_WELL))
        counts[kind] += 1
        is_old = not kind[1] and path.stat().st_mtime < time.time() - days * _DAY_S
        if is_old or counts[kind] >= _FILES_KEPT[kind]:
            path.unlink(missing_ok=True)


def flights(folder: Path) -> list[Path]:
    """The files of flight records, the newest first."""
    return sorted(folder.iterdir(), reverse=True) if folder.is_dir() else []
