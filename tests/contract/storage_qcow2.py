"""qcow2 files under the contract suite: written and read with QEMU's own tools."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pizarra.model.facts import Volume
from pizarra.model.labels import ResetMethod
from pizarra.model.sizes import MIB
from pizarra.storage.interface import Storage
from pizarra.storage.qcow2.sidecar import sidecar_path
from pizarra.storage.qcow2.store import Qcow2Store
from tests.contract.storage_bench import file_read


class Qcow2Bench:
    """A backend in a new folder of its own."""

    seats_grow = True
    seats_outlive_golden = False
    adopts_as: ResetMethod | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.storage: Storage = Qcow2Store(folder)

    def clear(self, *, but: str) -> None:
        assert not self.folder.exists(), but

    def again(self) -> Storage:
        return Qcow2Store(self.folder)

    def write(self, volume: Volume, offset: int, data: bytes) -> None:
        write_image(volume.path, offset, data)

    def read(self, volume: Volume, offset: int, length: int) -> bytes:
        return image_read(volume.path, offset, length)

    @contextmanager
    def holding(self, volume: Volume) -> Iterator[Callable[[int, int], bytes]]:
        with holding_image(volume.path):
            yield lambda offset, length: image_read(volume.path, offset, length)

    def foreign(self, name: str) -> None:
        folder = self.folder / "seats"
        folder.mkdir(parents=True, exist_ok=True)
        create_image(folder / f"{name}.qcow2", 8 * MIB)

    def lose(self, volume: Volume) -> None:
        volume.path.unlink()
        sidecar_path(volume.path).unlink()


def create_image(path: Path, size_bytes: int, *options: str) -> Path:
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), str(size_bytes)]
    subprocess.run(argv, check=True)
    return path


def write_image(path: Path, offset: int, data: bytes, form: str = "qcow2") -> None:
    with tempfile.NamedTemporaryFile() as pattern:
        pattern.write(data)
        pattern.flush()
        command = f"write -s {pattern.name} {offset} {len(data)}"
        qemu_io("-f", form, "-c", command, str(path))


def image_read(path: Path, offset: int, length: int) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch) / "raw"
        form = ["-U", "-f", "qcow2", "-O", "raw"]
        subprocess.run(["qemu-img", "convert", *form, str(path), str(raw)], check=True)
        return file_read(raw, offset, length)


def qemu_io(*argv: str) -> None:
    done = subprocess.run(["qemu-io", *argv], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def holding_image(path: Path, form: str = "qcow2") -> Iterator[None]:
    """A QEMU process has it open for writing, as a running machine has."""
    argv = ["qemu-io", "-f", form, str(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin and holder.stdout
        holder.stdin.write(b"read 0 4096\n")
        holder.stdin.flush()
        assert b"read" in holder.stdout.readline()  # it answers once the image is open
        yield
        holder.communicate(b"quit\n")
