"""An import leaves the reserve of a pool free: before it begins, and while it is copied."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pizarra.compute.memory import MemoryCompute
from pizarra.engine.host import Host, RealStorages
from pizarra.engine.memory_host import memory_host
from pizarra.errors import NoSpace
from pizarra.model.sizes import MIB
from pizarra.service import templates
from pizarra.service.context import Context
from pizarra.service.import_room import check_room, keeping_reserve
from pizarra.settings import Settings
from pizarra.storage.kinds import Kind
from pizarra.storage.memory.store import MemoryStore
from tests.unit.test_reset import School


@pytest.fixture
def store() -> MemoryStore:
    """Of a class, whose seats have written little."""
    school = School()
    school.dirty(1)
    made = school.storage
    made.disks.size_bytes = 100 * MIB + made.disks.used_bytes()
    return made


@pytest.fixture
def context(store: MemoryStore) -> Context:
    return Context(memory_host(store, MemoryCompute(), Settings(pool_reserve_percent=20)))


def test_import_when_it_would_need_the_reserve_then_refused_with_all_numbers(
    context: Context, store: MemoryStore
) -> None:
    check_room(context, store, 80 * MIB - 4096, "The template")
    with pytest.raises(NoSpace, match=r"81 MiB.* 100 MiB are free, and 20 MiB of that stay free"):
        check_room(context, store, 81 * MIB, "The template")


def test_copy_when_it_reaches_the_reserve_then_it_stops(
    context: Context, store: MemoryStore
) -> None:
    shares = list[float]()
    look = keeping_reserve(context, store, shares.append, every_s=0)
    look(0.5)
    store.disks.size_bytes = store.disks.used_bytes()  # machines write meanwhile
    with pytest.raises(NoSpace, match=r"The import was stopped: .* 0 B are free"):
        look(0.6)
    assert shares == [0.5, 0.6]


def test_template_when_the_reserve_is_larger_than_what_is_free_then_nothing_is_made(
    tmp_path: Path,
) -> None:
    image = tmp_path / "image.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "8M"], check=True)
    settings = Settings(folder=tmp_path / "disks", pool_reserve_percent=90)
    context = Context(Host(settings, MemoryCompute(), RealStorages(settings)))
    with pytest.raises(NoSpace, match="stay free for machines that run"):
        templates.import_template(context, "t", templates.source_of_file(image), kind=Kind.QCOW2)
    assert list(settings.folder.glob("*")) == []
