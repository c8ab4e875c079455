"""The lab as a school: fixtures for a host, a template, a classroom, and machines that run.

A test asks for the latest state that it need not build itself. All tests on one kind of storage
share these states. Their creation and their removal are tests too.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from lxml import etree

from pizarra.model.facts import Power, Seat, StorageKind
from pizarra.model.outcome import Mode
from pizarra.model.policy import After
from pizarra.service import verbs
from pizarra.service.context import Context, context_here
from pizarra.settings import Settings
from pizarra.storage.dm_thin.store import DmThinStore
from pizarra.storage.kinds import Kind
from tests.contract.storage_lvm import VG
from tests.fixtures.command import pizarra
from tests.fixtures.host_state import HostState, host_state
from tests.lab.conftest import command
from tests.lab.foreign import check_pool, create_foreign, foreign_state, remove_foreign

LIMIT_S = 240.0  # patience for a loaded machine, never a measurement
SEATS = 3
KINDS = (Kind.LVM_THIN, Kind.LVM_THICK)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests of an empty lab first, then the tests of each kind of storage in turn."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    callspec = getattr(item, "callspec", None)
    kind = callspec.params.get("kind") if callspec else None
    in_lab = item.path.parent == Path(__file__).parent
    on_ours = in_lab and "lab" not in getattr(item, "fixturenames", ())
    return 2 + KINDS.index(kind) if on_ours and kind in KINDS else int(in_lab)


def eventually(what: str, true: Callable[[], object]) -> None:
    """Wait until ``true`` returns something true."""
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class School:
    """A classroom of the boot-sector guest, and its host."""

    context: Context
    kind: StorageKind
    name: str

    def host_state(self) -> HostState:
        return host_state(self.context.host)

    def seats(self) -> tuple[Seat, ...]:
        return self.context.host.observe().classroom(self.name).seats

    def seat(self, number: int) -> Seat:
        return next(seat for seat in self.seats() if seat.number == number)

    def disk(self, number: int) -> str:
        """The disk of a seat, as ``VG/LV``."""
        return f"{VG}/{self.name}-{number:02d}.vda"

    def boots(self, number: int) -> int:
        """How often the guest has booted: it counts on its disk (see guests/bootsector)."""
        block = direct_read(Path("/dev") / self.disk(number), 4096, 4096)
        assert block.startswith(b"PIZARRA STATE"), block[:32]
        return int.from_bytes(block[16:20], "little")

    def await_boots(self, boots: int, *numbers: int) -> None:
        for number in numbers:
            eventually(f"boot {boots}", lambda number=number: self.boots(number) == boots)  # type: ignore[misc]

    def press_reset(self, *numbers: int) -> None:
        """Press the reset buttons; each guest boots once more from the disk that it changed."""
        before = {number: self.boots(number) for number in numbers}
        for number in numbers:
            command("virsh", "-q", "reset", f"{self.name}-{number:02d}")
        for number in numbers:
            self.await_boots(before[number] + 1, number)

    def process(self, number: int) -> str:
        """The process id of the machine's QEMU."""
        return command("pgrep", "-f", f"guest={self.name}-{number:02d},").strip()


@contextmanager
def console(machine: str) -> Iterator[Callable[[], str]]:
    """The output of a machine's serial port from now on."""
    live = etree.fromstring(command("virsh", "-q", "dumpxml", machine))
    terminal = str(live.xpath("string(devices/serial/source/@path)"))
    fd = os.open(terminal, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    received = bytearray()

    def output() -> str:
        with suppress(BlockingIOError):
            received.extend(os.read(fd, 65536))
        return received.decode(errors="replace")

    try:
        yield output
    finally:
        os.close(fd)


def direct_read(device: Path, offset: int, length: int) -> bytes:
    """What is on the disk, read without the page cache, while a machine may write."""
    fd = os.open(device, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    try:
        with mmap.mmap(-1, length) as buffer:
            assert os.preadv(fd, [buffer], offset) == length
            return buffer[:]
    finally:
        os.close(fd)


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """A host that others use too.

    At the end nothing of theirs has changed, the pool's metadata is sound, and nothing of ours is
    left.
    """
    folder = tmp_path_factory.mktemp("host")
    DmThinStore(VG).prepare()
    create_foreign(folder)
    foreign = foreign_state()
    with pytest.MonkeyPatch.context() as these:
        these.setenv("PIZARRA_FOLDER", str(folder / "disks"))
        these.setenv("PIZARRA_GRACE_S", "20")
        these.setenv("PIZARRA_AT_ONCE", "4")
        context = context_here(settings=Settings())
        before = host_state(context.host)
        yield context
        assert host_state(context.host) == before
        assert foreign_state() == foreign
        remove_foreign()
    check_pool()


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> StorageKind:
    """The kind of storage: all tests run on one kind, then on the next."""
    found: StorageKind = request.param
    return found


@pytest.fixture(scope="session")
def template(host: Context, kind: StorageKind, bootsector: Path) -> Iterator[str]:
    """The boot-sector guest, imported by the command, and deleted by it at the end."""
    before, where = host_state(host.host), ("--storage", kind, "--vg", VG)
    said = pizarra("template", "import", "boot", str(bootsector), *where, "--json")
    assert said.status == 0, said.err
    assert (said.document["version"], said.document["storage"]) == (1, kind)
    yield "boot"
    said = pizarra("template", "delete", "boot", *where, "--yes")
    assert said.status == 0, said.err
    assert host_state(host.host) == before


@pytest.fixture(scope="session")
def classroom(host: Context, kind: StorageKind, template: str) -> Iterator[School]:
    """A classroom, created by the command, and deleted by it whatever happened meanwhile."""
    before = host_state(host.host)
    wish = ("--template", template, "--seats", str(SEATS), "--memory", "16M", "--vcpus", "1")
    said = pizarra("classroom", "create", "life", *wish, "--storage", kind, "--json")
    assert said.status == 0, said.err
    assert set(said.seats.values()) == {"done"}
    yield School(context=host, kind=kind, name="life")
    verbs.stop(host, "life", grace_s=0)
    if kind is Kind.LVM_THIN:
        check_pool()
    said = pizarra("classroom", "delete", "life", "--yes", "--json")
    assert said.status == 0, said.err
    assert host_state(host.host) == before


@pytest.fixture
def original(classroom: School) -> School:
    """All seats are off and original."""
    report = verbs.reset(classroom.context, classroom.name, after=After.OFF)
    assert report.exit_status == 0, report
    assert {seat.power for seat in classroom.seats()} == {Power.OFF}
    return classroom


@pytest.fixture
def running(classroom: School) -> School:
    """All seats run and have booted twice; after a reset a seat boots for the first time.

    Seats that run already are reset hot, which saves the lab their starts.
    """
    name, numbers = classroom.name, [seat.number for seat in classroom.seats()]
    report = verbs.reset(classroom.context, name, mode=Mode.HOT, after=After.RUNNING)
    assert report.exit_status == 0, report
    classroom.await_boots(1, *numbers)
    classroom.press_reset(*numbers)
    return classroom


@pytest.fixture
def unharmed(classroom: School) -> Iterator[School]:
    """The test must change nothing on the host."""
    before = classroom.host_state()
    yield classroom
    assert classroom.host_state() == before
