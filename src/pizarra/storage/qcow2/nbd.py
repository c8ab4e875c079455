"""A qcow2 file as a read-only device of this host: the kernel's nbd devices, served by qemu-nbd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pizarra.errors import Unsupported
from pizarra.model.sentence import N_
from pizarra.storage.interface import Attachment
from pizarra.storage.qcow2.checks import refusals
from pizarra.storage.qcow2.report import backing_files
from pizarra.system.jail import limit
from pizarra.system.process import run


def connect(image: Path, note: Callable[[Attachment], None]) -> Attachment:
    """Raises Unsupported when there is no free device. ``note`` hears of it before it is used."""
    # the kernel must not read a partition table that a student wrote
    run(["modprobe", "nbd", "max_part=0"], check=False)
    free = [path for path in sorted(Path("/sys/block").glob("nbd*")) if not (path / "pid").exists()]
    if not free:
        raise Unsupported(
            "A qcow2 disk is looked at through the kernel's nbd devices, and there is none free.",
            "Load them: modprobe nbd; or: qemu-img convert -U -O raw {path} FILE, while it is off.",
            path=image,
        )
    device = f"/dev/{free[0].name}"
    with refusals(N_("read"), image):
        backing_files(image)  # a name that somebody else wrote there is not opened
    made = Attachment(nbd=device)
    note(made)
    argv = ["qemu-nbd", "--read-only", "--format=qcow2", f"--connect={device}", str(image)]
    run(limit(argv))
    run(["udevadm", "settle", "--timeout=10"], check=False)
    return replace(made, device=device)


def disconnect(attachment: Attachment) -> None:
    """Fine if it is not connected."""
    if attachment.nbd:
        run(["qemu-nbd", "--disconnect", attachment.nbd], check=False)
