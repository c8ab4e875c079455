"""The backend of tests/fixtures/raw_folder.py under the contract suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pizarra.model.facts import Volume
from pizarra.model.labels import ResetMethod
from pizarra.model.sizes import MIB
from pizarra.storage.interface import Storage
from tests.contract.storage_bench import file_read
from tests.contract.storage_qcow2 import holding_image
from tests.fixtures.raw_folder import RawFolderStore


class RawFolderBench:
    """A backend in a new folder of its own."""

    seats_grow = True
    seats_outlive_golden = True
    adopts_as: ResetMethod | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.storage: Storage = RawFolderStore(folder)

    def clear(self, *, but: str) -> None:
        assert not self.folder.exists(), but

    def again(self) -> Storage:
        return RawFolderStore(self.folder)

    def write(self, volume: Volume, offset: int, data: bytes) -> None:
        with volume.path.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def read(self, volume: Volume, offset: int, length: int) -> bytes:
        return file_read(volume.path, offset, length)

    @contextmanager
    def holding(self, volume: Volume) -> Iterator[Callable[[int, int], bytes]]:
        with holding_image(volume.path, "raw"):
            yield lambda offset, length: self.read(volume, offset, length)

    def foreign(self, name: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{name}.img").write_bytes(bytes(8 * MIB))

    def lose(self, volume: Volume) -> None:
        volume.path.unlink()
        volume.path.with_name(volume.path.name + ".json").unlink()
