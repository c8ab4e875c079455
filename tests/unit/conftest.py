"""What a host keeps beside its disks is a test's own, in memory: a flush costs nothing there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pizarra.system import locks

MEMORY = Path("/dev/shm")


@pytest.fixture(autouse=True)
def own_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Claims and records in a folder that no test looks at."""
    where = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="pizarra-state-", dir=where) as name:
        folder = Path(name)
        monkeypatch.setattr(locks, "HOST_LOCKS", folder / "locks")
        monkeypatch.setenv("PIZARRA_STATE_FOLDER", str(folder))
        monkeypatch.setenv("PIZARRA_RUN_FOLDER", str(folder / "run"))
        yield folder
