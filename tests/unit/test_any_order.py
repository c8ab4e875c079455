"""Any verbs in any order (tests/fixtures/any_order.py), over the memory drivers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from hypothesis import settings as hypothesis

from pizarra.engine.memory_host import memory_host
from pizarra.errors import StorageFault
from pizarra.model.facts import Volume
from pizarra.model.labels import FillingLabels, TemplateLabels
from pizarra.model.sizes import MIB
from pizarra.service.context import Context
from pizarra.settings import Settings
from pizarra.storage.interface import NewVolume
from pizarra.storage.kinds import Kind
from pizarra.storage.memory.disks import MemoryDisks
from pizarra.storage.memory.store import Crash, MemoryStore
from tests.fixtures.any_order import NOT_OURS, ORIGINAL, AnyOrder, Plug

FOREIGN_VOLUME = "net-04.vda"


class MortalStorage(MemoryStore):
    """A crash is the end of its process: whoever would tidy up comes too late."""

    def __init__(self, disks: MemoryDisks, plug: Plug) -> None:
        super().__init__(disks)
        self.plug = plug

    def _change(self) -> None:
        try:
            super()._change()
        except Crash:
            self.plug.pulled = True
        if self.plug.pulled:
            raise Crash


class InMemory(AnyOrder):
    """Disks that are dictionaries."""

    kind = Kind.MEMORY

    def make_disks(self) -> None:
        # records name seats, and every example has a net-01: each has a folder of its own
        self.state = Path(tempfile.mkdtemp(dir=os.environ["PIZARRA_STATE_FOLDER"]))
        self.disks = MemoryDisks()
        self.boot()
        labels = TemplateLabels(template="t", version=1)
        golden = self.storage.create_golden(
            NewVolume(labels=FillingLabels(becoming=labels), size_bytes=MIB, name="t.v1.vda")
        )
        self.storage.write(golden.name, 0, ORIGINAL)
        self.storage.seal_golden(golden, labels)
        foreign = self.storage.create_golden(
            NewVolume(labels=labels, size_bytes=MIB, name=FOREIGN_VOLUME)
        )
        self.storage.write(foreign.name, 0, NOT_OURS)
        disk = self.disks.find(foreign.name)
        disk.volume = replace(disk.volume, labels=None)

    def boot(self) -> None:
        self.compute.plug = Plug()
        self.compute._faults.clear()
        self.storage = MortalStorage(self.disks, self.compute.plug)
        settings = Settings(at_once=1, grace_s=0, state_folder=self.state)
        self.context = Context(memory_host(self.storage, self.compute, settings))

    def volumes(self) -> Iterable[Volume]:
        return [one.volume for one in self.disks.by_uuid.values()]

    def content(self, volume: Volume) -> bytes | None:
        there = self.disks.by_uuid[volume.uuid].blocks is not None
        return self.storage.read(volume.name, 0, 8) if there else None

    def write(self, volume: Volume, data: bytes) -> None:
        self.storage.write(volume.name, 0, data)

    def will_fail(self, call: str, step: int) -> None:
        self.storage.fail_at(call, step, StorageFault("the disk is gone"))

    def will_die(self, step: int) -> None:
        self.storage.crash_at(step)

    def beside(self) -> tuple[bytes | None, bytes | None]:
        return self.storage.read(FOREIGN_VOLUME, 0, 8), self.storage.read("t.v1.vda", 0, 8)


InMemory.TestCase.settings = hypothesis(max_examples=60, stateful_step_count=30)
TestAnyOrder = InMemory.TestCase
