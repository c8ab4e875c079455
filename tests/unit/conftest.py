"""What a host keeps beside its disks is a test's own."""

from __future__ import annotations

import pytest

from pizarra.engine import growth
from pizarra.service import data_disks
from pizarra.system import locks, seed


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims and notes in a folder that no test looks at."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setattr(locks, "OUR_LOCKS", folder / "locks")
    monkeypatch.setenv("PIZARRA_STATE_FOLDER", str(folder))
    monkeypatch.setattr(data_disks, "NOTES", folder / "data-swaps")
    monkeypatch.setattr(growth, "FOLDER", folder / "growth")
    monkeypatch.setattr(seed, "FOLDER", folder / "seeds")
