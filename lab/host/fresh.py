"""A host on disks of its own that go with it."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.host.image import HostImage
from lab.host.machine import VG_BYTES, HostMachine, RunningHost, make_disk, running_host


@contextmanager
def fresh_host(image: HostImage, run_dir: Path) -> Iterator[RunningHost]:
    """Up, with the empty volume group vg0; nothing of what it does is kept but its logs.

    A saved host goes on in seconds; any other boots.
    """
    with tempfile.TemporaryDirectory(dir=image.key.parent.parent, prefix="run-") as scratch:
        root, volumes = Path(scratch) / "root.qcow2", Path(scratch) / "volumes.qcow2"
        if image.volumes:
            shutil.copy(image.root, root)  # memory that was saved is in no overlay of its disk
            shutil.copy(image.volumes, volumes)
        else:
            make_disk(root, base=image.root)
            make_disk(volumes, size=VG_BYTES)
        machine = HostMachine(
            image=image,
            run_dir=run_dir,
            root=root,
            volumes=volumes,
            resumes=image.volumes is not None,
        )
        doing = "resuming" if machine.resumes else "booting"
        print(f"host: {doing} ({machine.accelerator.words})", file=sys.stderr, flush=True)
        with running_host(machine) as host:
            yield host
