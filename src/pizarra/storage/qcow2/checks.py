"""What is looked at before an image is touched, and refusals in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pizarra.errors import Busy, CommandFailed, NotOurs, StorageFault
from pizarra.model.facts import Volume
from pizarra.model.sentence import N_
from pizarra.storage.qcow2.report import is_open_in_qemu
from pizarra.storage.qcow2.sidecar import read_sidecar
from pizarra.system.jail import limit
from pizarra.system.process import run


@contextmanager
def refusals(what: str, path: Path) -> Iterator[None]:
    """An OSError, or a file that is no image, in words."""
    try:
        yield
    except OSError as error:
        raise StorageFault(
            "Cannot {what} {path}: {cause}.", what=what, path=path, cause=error.strerror
        ) from None
    except ValueError as error:
        raise StorageFault("{path} cannot be used: {cause}.", path=path, cause=error) from None


def qemu_img(*argv: str) -> str:
    """What it prints. Raises StorageFault in its words."""
    try:
        return run(limit(["qemu-img", *argv]), timeout_s=600).stdout
    except CommandFailed as error:
        raise StorageFault(
            "qemu-img refused to {verb}: {said}",
            verb=argv[0],
            said=str(error.facts.get("stderr", error)).strip().removeprefix("qemu-img: "),
        ) from None


def check_owned(volume: Volume) -> None:
    """Raises NotOurs."""
    if volume.labels is None:
        raise NotOurs(
            "{path} is left alone: {why}.",
            "Ours have a sidecar: {path}.json",
            path=volume.path,
            why=volume.fault or N_("it has no sidecar of ours"),
        )


def check_expected(volume: Volume) -> None:
    """Whether image and sidecar are there and are the ones that were observed.

    Raises NotOurs, StorageFault.
    """
    with refusals(N_("read"), volume.path):
        sidecar = read_sidecar(volume.path)
        if sidecar is None or sidecar.uuid != volume.uuid:
            raise NotOurs(
                "{path} is left alone: it is not the volume that it was.",
                "Look again; its sidecar {path}.json tells its UUID.",
                path=volume.path,
            )
        volume.path.stat()


def check_unheld(volume: Volume) -> None:
    """Raises Busy."""
    with refusals(N_("read"), volume.path):
        if is_open_in_qemu(volume.path):
            raise Busy(
                "{name} is held open by a virtual machine.",
                "Stop it first; see who has it with: fuser -v {path}",
                name=volume.name,
                path=volume.path,
            )
