"""Somebody with an account on the host, or a process there that is not root's: pages, a QEMU."""

from __future__ import annotations

from pathlib import Path

from pizarra.model.labels import FillingLabels, TemplateLabels
from pizarra.model.sizes import MIB
from pizarra.storage.interface import NewVolume
from pizarra.storage.qcow2.store import Qcow2Store
from pizarra.storage.qcow2.undo import swapping
from pizarra.system.locks import claiming
from tests.attack.conftest import as_user

# flock(2) locks a file for others that is open for reading alone
_HOLD = """
import fcntl, sys
fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)
"""


def test_claims_when_another_user_opens_their_files_then_cannot_hold_them(place: Path) -> None:
    locks = place / "run" / "locks"
    locks.mkdir(parents=True, mode=0o755)  # as version ab156f6 made it
    with claiming(["seat:net-01"], "reset", shared=["classroom:net"], folder=locks):
        pass
    for name in ("seat:net-01", "classroom:net", "net-01", "net"):
        tried = as_user(_HOLD, locks / name, check=False)
        assert "PermissionError" in tried.stderr, f"{name} is held: nobody can work on the seat"


def test_images_when_another_user_opens_their_folder_then_cannot_hold_it(place: Path) -> None:
    seats = place / "images" / "seats"
    seats.mkdir(parents=True, mode=0o755)  # as version ab156f6 made it
    with swapping(seats):
        pass
    tried = as_user(_HOLD, seats, check=False)
    assert "PermissionError" in tried.stderr, "it is held: a reset waits for ever"
    as_user("import os, sys; os.chdir(sys.argv[1])", seats)  # QEMU's user passes through


def test_images_when_the_folder_is_new_then_another_user_cannot_open_it(place: Path) -> None:
    store = Qcow2Store(place / "images")
    labels = FillingLabels(becoming=TemplateLabels(template="debian", version=1))
    made = store.create_golden(NewVolume(labels=labels, size_bytes=MIB, name="debian.v1.vda"))
    tried = as_user(_HOLD, made.path.parent, check=False)
    assert "PermissionError" in tried.stderr
