"""Fixtures of the tests that need the lab, whose volume group and libvirt belong to nobody."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pizarra.engine.events import Event
from pizarra.service.context import Context, context_here
from pizarra.settings import Settings
from tests.contract.storage_lvm import VG, forget_undos

ROOT = Path(__file__).parents[2]


def command(*argv: str | Path) -> str:
    """Run a command and return its output. A failure fails the test with its message."""
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr or done.stdout}"
    return done.stdout


def empty_lab() -> None:
    """Remove every machine, and every volume except thin pools."""
    for name in command("virsh", "-q", "list", "--all", "--name").split():
        subprocess.run(["virsh", "-q", "destroy", name], capture_output=True, check=False)
        command("virsh", "-q", "undefine", name, "--nvram")
    select = ("-S", f"vg_name={VG} && segtype!=thin-pool")
    command("lvm", "lvremove", "-ff", "-y", *select)
    forget_undos()


class EventList(list[Event]):
    """A list to which the engine emits its events."""

    def __call__(self, event: Event) -> None:
        self.append(event)


@pytest.fixture
def events() -> EventList:
    """The events of this test."""
    return EventList()


@pytest.fixture
def lab(tmp_path: Path, events: EventList) -> Iterator[Context]:
    """This lab as the commands see it. The lab is empty before and after the test."""
    empty_lab()
    yield context_here(events, Settings(vg=VG, folder=tmp_path / "qcow2", grace_s=10))
    empty_lab()


@pytest.fixture(scope="session")
def bootsector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image of the boot-sector guest, raw."""
    image = tmp_path_factory.mktemp("guest") / "bootsector.img"
    command(ROOT / "guests" / "bootsector" / "build", image)
    return image
