"""Any verbs in any order (tests/fixtures/any_order.py) on real LVM, with machines in memory.

What befalls the process befalls it before one of its calls to LVM or device-mapper, all of which
it notes first. A crash ends all that it does, except that the kernel lets go of its locks.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis
from hypothesis.stateful import run_state_machine_as_test

from pizarra.engine.host import Host, RealStorages
from pizarra.errors import StorageFault
from pizarra.model.facts import Seat, Volume
from pizarra.model.labels import FillingLabels, TemplateLabels
from pizarra.model.sizes import MIB
from pizarra.service.context import Context
from pizarra.settings import Settings
from pizarra.storage.dm_thin.store import DmThinStore
from pizarra.storage.interface import NewVolume
from pizarra.storage.kinds import Kind
from pizarra.storage.memory.store import Crash
from pizarra.system import flight
from tests.contract.storage_lvm import POOL, VG, direct_write, lvm
from tests.fixtures.any_order import NOT_OURS, ORIGINAL, AnyOrder, Plug
from tests.lab.conftest import empty_lab
from tests.lab.foreign import check_pool
from tests.lab.test_adopt import with_pool

FOREIGN = "net-04.vda"  # called as ours would be
GOLDEN = "t.v1.vda"
BLOCK = 4096
STEPS = ("dm", "lvm", "journal", "undo")  # the first words of those that change something


class Mortal:
    """Told of each step before it happens, by the flight record."""

    def __init__(self, plug: Plug) -> None:
        self.plug = plug
        self.to_death = self.to_failure = 0
        self.is_looking = False  # the test itself looks, and nothing befalls it

    def note(self, what: str) -> None:
        if self.is_looking or what.split(" ")[0] not in STEPS:
            return
        self.to_death -= 1
        if self.to_death == 0:
            self.plug.pulled = True
        if self.plug.pulled:
            raise Crash
        self.to_failure -= 1
        if self.to_failure == 0:
            raise StorageFault("the disk is gone")


class OnLvm(AnyOrder):
    """Thin volumes of the lab's volume group."""

    kind = Kind.LVM_THIN
    disks: tuple[str, ...] = ("vda",)  # of the template

    def make_disks(self) -> None:
        self.boot()
        self.mortal.is_looking = True
        empty_lab()
        with_pool()
        storage = DmThinStore(VG)
        for disk in self.disks:
            labels = TemplateLabels(template="t", version=1, disk=disk)
            new = NewVolume(
                labels=FillingLabels(becoming=labels), size_bytes=MIB * 8, name=f"t.v1.{disk}"
            )
            golden = storage.create_golden(new)
            direct_write(golden.path, 0, ORIGINAL.ljust(BLOCK, b"\0"))
            storage.seal_golden(golden, labels)
        lvm("lvcreate", "-y", "-Wn", "-V", "8m", "-T", f"{VG}/{POOL}", "-n", FOREIGN)
        direct_write(Path(f"/dev/{VG}/{FOREIGN}"), 0, NOT_OURS.ljust(BLOCK, b"\0"))
        self.mortal.is_looking = False

    def boot(self) -> None:
        self.compute.plug = Plug()
        self.compute._faults.clear()
        self.mortal = Mortal(self.compute.plug)
        flight.set_witness(self.mortal.note)
        settings = Settings(at_once=1, grace_s=0)
        self.context = Context(Host(settings, self.compute, RealStorages(settings)))

    @contextmanager
    def looking(self) -> Iterator[None]:
        before, self.mortal.is_looking = self.mortal.is_looking, True
        try:
            yield
        finally:
            self.mortal.is_looking = before

    def seats(self) -> list[Seat]:
        with self.looking():
            return super().seats()

    def volumes(self) -> Iterable[Volume]:
        with self.looking():
            return DmThinStore(VG).observe().volumes

    def content(self, volume: Volume) -> bytes | None:
        return _start_of(volume.path)

    def write(self, volume: Volume, data: bytes) -> None:
        if self.content(volume) is not None:
            direct_write(volume.path, 0, data.ljust(BLOCK, b"\0"))

    def will_fail(self, call: str, step: int) -> None:
        self.mortal.to_failure = step + len(call) % 5  # whichever call that is

    def will_die(self, step: int) -> None:
        self.mortal.to_death = 2 * step

    def beside(self) -> tuple[bytes | None, bytes | None]:
        lvm("lvchange", "-ay", "-K", f"{VG}/{GOLDEN}")
        try:
            return _start_of(Path(f"/dev/{VG}/{FOREIGN}")), _start_of(Path(f"/dev/{VG}/{GOLDEN}"))
        finally:
            lvm("lvchange", "-an", f"{VG}/{GOLDEN}")

    def teardown(self) -> None:
        self.boot()
        self.mortal.is_looking = True
        lvm("lvremove", "-ff", "-y", f"{VG}/{FOREIGN}")
        empty_lab()
        check_pool()
        flight.set_witness(None)


def _start_of(path: Path) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    except OSError:
        return None  # it sleeps
    try:
        with mmap.mmap(-1, BLOCK) as buffer:
            os.preadv(fd, [buffer], 0)
            return buffer[:8]
    except OSError:
        return None  # it stands on the error target
    finally:
        os.close(fd)


def test_any_order_when_the_disks_are_lvms_then_what_holds_in_memory_holds_there(
    lab: Context,
) -> None:
    assert lab.host.observe().classrooms == {}
    short = hypothesis(
        max_examples=int(os.environ.get("PIZARRA_ANY_ORDER") or 3),
        stateful_step_count=10,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(OnLvm, settings=short)
