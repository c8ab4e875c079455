"""What a host keeps beside its disks is a test's own."""

from __future__ import annotations

import pytest

from pizarra.engine import machine_state, undo_notes
from pizarra.service import data_disks
from pizarra.system import locks


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims and notes in a folder that no test looks at."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setattr(locks, "HOST_LOCKS", folder / "locks")
    monkeypatch.setattr(undo_notes, "NOTES", folder / "undo")
    monkeypatch.setattr(data_disks, "NOTES", folder / "data-swaps")
    monkeypatch.setattr(machine_state, "FOLDER", folder / "machines")
    monkeypatch.setenv("PIZARRA_STATE_FOLDER", str(folder))
    monkeypatch.setenv("PIZARRA_RUN_FOLDER", str(folder / "run"))
