"""The content of a qcow2 file as a raw file, to read or write: QEMU's storage daemon, by FUSE."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pizarra.errors import HostNotFit
from pizarra.model.sentence import N_
from pizarra.storage.qcow2.checks import refusals
from pizarra.storage.qcow2.report import backing_files
from pizarra.system.file_copies import sync
from pizarra.system.jail import limit
from pizarra.system.process import beside

_LIMIT_S = 30.0
_LOOK_EVERY_S = 0.02


@contextmanager
def as_raw(image: Path, *, writable: bool = False) -> Iterator[Path]:
    """Gone, and all of it in the image, when the block is left. Raises HostNotFit."""
    with tempfile.TemporaryDirectory(prefix="pizarra-raw-") as folder:
        raw = Path(folder) / "disk"
        raw.touch()
        disk = _chain(image) | {"node-name": "disk", "read-only": not writable,
                                "force-share": not writable}  # fmt: skip
        export = {"type": "fuse", "id": "disk", "node-name": "disk",
                  "mountpoint": str(raw), "writable": _switch(writable)}  # fmt: skip
        argv = ["qemu-storage-daemon",
                "--blockdev", json.dumps(disk), "--export", _options(export)]  # fmt: skip
        empty = raw.stat().st_dev
        with beside(limit(argv)) as daemon:
            deadline = time.monotonic() + _LIMIT_S
            while raw.stat().st_dev == empty:
                if daemon.poll() is not None or time.monotonic() > deadline:
                    raise HostNotFit(
                        "{image} could not be opened with qemu-storage-daemon.",
                        "It needs FUSE: modprobe fuse",
                        image=image,
                    )
                time.sleep(_LOOK_EVERY_S)
            yield raw
            if not writable:
                return
            sync(raw)


def _chain(image: Path) -> dict[str, Any]:
    """The node of an image and of what it stands on, whatever is written into the files later."""
    node: dict[str, Any] | None = None
    with refusals(N_("read"), image):
        files = [image, *backing_files(image)]
    for path in reversed(files):
        file = {"driver": "file", "filename": str(path)}
        node = {"driver": "qcow2", "file": file, "backing": node}
    return node or {}


def _switch(on: bool) -> str:
    return "on" if on else "off"


def _options(pairs: dict[str, str]) -> str:
    return ",".join(f"{key}={value.replace(',', ',,')}" for key, value in pairs.items())
