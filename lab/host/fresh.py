"""A host on disks of its own that go with it."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.host.image import HostImage
from lab.host.machine import HostMachine, RunningHost, make_overlay, running_host


@contextmanager
def fresh_host(image: HostImage, run_dir: Path) -> Iterator[RunningHost]:
    """Up, with the empty volume group vg0; nothing of what it does is kept but its logs."""
    with tempfile.TemporaryDirectory(dir=image.root.parent.parent, prefix="run-") as scratch:
        root = make_overlay(image.root, Path(scratch) / "root.qcow2")
        volumes = Path(scratch) / "volumes.raw"
        machine = HostMachine(image=image, run_dir=run_dir, root=root, volumes=volumes)
        print(f"host: booting ({machine.accelerator.words})", file=sys.stderr, flush=True)
        with running_host(machine) as host:
            yield host
