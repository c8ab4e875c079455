"""Above storage/ nobody names a kind of storage, or a driver: they ask what a backend can do.

Ceph, or whatever comes next, is then a new package and a line in the registry.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from pizarra.settings import Settings
from pizarra.storage import interface, registry
from pizarra.storage.interface import (
    AdoptionStore,
    CheckpointStore,
    ExtendableStore,
    Storage,
    UndoStore,
    VolumeStore,
)
from pizarra.storage.kinds import Kind
from pizarra.storage.memory.store import MemoryStore

SOURCE = Path(interface.__file__).parents[1]
STORAGE = SOURCE / "storage"
DRIVERS = tuple(sorted(path.name for path in STORAGE.iterdir() if (path / "__init__.py").exists()))
METHODS_MAX = 12


def modules_above() -> list[Path]:
    return [path for path in sorted(SOURCE.rglob("*.py")) if STORAGE not in path.parents]


def named(tree: ast.AST) -> Iterator[str]:
    """Drivers and kinds that a module names, each with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=names):
                paths = [module, *(f"{module}.{one.name}" for one in names)]
            case ast.Import(names=names):
                paths = [one.name for one in names]
            case ast.Attribute(value=ast.Name(id="Kind" | "StorageKind"), attr=attr):
                yield f"line {node.lineno}: a kind, {attr}"
                continue
            case ast.Constant(value=str(text)) if text in (Kind.LVM_THIN, Kind.LVM_THICK):
                yield f"line {node.lineno}: a kind, {text!r}"
                continue
            case _:
                continue
        for path in paths:
            if path == "pizarra.storage.kinds" or path.startswith(
                tuple(f"pizarra.storage.{driver}" for driver in DRIVERS)
            ):
                yield f"line {node.lineno}: {path}"


@pytest.mark.parametrize("path", modules_above(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_module_when_above_storage_then_names_no_kind_and_no_driver(path: Path) -> None:
    assert list(named(ast.parse(path.read_text()))) == []


def test_drivers_when_listed_then_the_rule_knows_all_of_them() -> None:
    assert {"lvm", "dm_thin", "dm_snapshot", "qcow2", "memory"} <= set(DRIVERS)


def methods(protocol: type) -> set[str]:
    return {name for name, one in vars(protocol).items() if callable(one) and name[0] != "_"}


def test_volume_store_when_counted_then_is_small() -> None:
    assert len(methods(VolumeStore)) <= METHODS_MAX


def drivers(tmp_path: Path) -> list[Storage]:
    settings = Settings(folder=tmp_path)
    made: list[Storage] = [one.store(settings, "vg0") for one in registry.technologies()]
    return [*made, MemoryStore()]


def test_drivers_when_they_say_what_they_can_then_have_the_methods_and_no_stubs(
    tmp_path: Path,
) -> None:
    for store in drivers(tmp_path):
        can = store.capabilities
        assert isinstance(store, UndoStore) is can.undo, store.kind
        assert isinstance(store, CheckpointStore) is can.checkpoints, store.kind
        assert isinstance(store, AdoptionStore) is (can.adoption is not None), store.kind
        assert isinstance(store, ExtendableStore) is can.extendable_store, store.kind


def test_registry_when_asked_then_every_kind_has_one_entry_that_says_so() -> None:
    assert registry.kinds()[:3] == (Kind.LVM_THIN, Kind.LVM_THICK, Kind.QCOW2)
    for technology in registry.technologies():
        assert registry.technology(technology.kind) == technology
        assert (technology.folder is None) is technology.capabilities.volume_groups
