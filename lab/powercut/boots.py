"""One boot of a lab on a disk, followed line by line, and cut off when a line or the clock says."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.machine import Disk, LabMachine, disk_kept
from lab.places import LabError
from lab.session import Progress, keep_logs, out_dir, run_folder, write_settings
from pizarra.system.flight import PAUSED

_LIMIT_S = 600


@dataclass(slots=True, kw_only=True)
class Heard:
    """What the lab said until it ended or was cut off."""

    told: list[dict[str, Any]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    paused: str = ""  # the step that it stopped before
    cut: bool = False
    marks: list[tuple[str, int]] = field(default_factory=list)  # what began, size of the log then

    def of(self, what: str) -> dict[str, Any] | None:
        """The last line of this kind."""
        return next((line for line in reversed(self.told) if line["what"] == what), None)


def booted(
    disk: Disk,
    command: str,
    *,
    cut_after_s: float | None = None,
    log: Path | None = None,
) -> Heard:
    """Boot, run; kill the power at a pause, or so long after the work began. Raises LabError."""
    heard = Heard()
    with run_folder() as folder:
        # One processor each: two labs of two on two cores of ours would wait for one another
        machine = LabMachine(run_dir=folder, out_dir=out_dir(), disk=disk, memory_mib=3072, vcpus=1)
        write_settings(machine, "command", command, os.terminal_size((80, 24)))
        progress = Progress()
        with machine.start() as lab, selectors.DefaultSelector() as selector:
            for name in ("control", "out", "err"):
                selector.register(lab.ports[name], selectors.EVENT_READ, name)
            _followed(selector, progress, heard, cut_after_s, log)
        if not heard.cut and progress.status != 0:
            keep_logs(folder)
            raise LabError(f"{command}: {progress.complaint or progress.status}\n"
                           + "\n".join(heard.text[-15:]))  # fmt: skip
    return heard


def _followed(
    selector: selectors.BaseSelector,
    progress: Progress,
    heard: Heard,
    cut_after_s: float | None,
    log: Path | None,
) -> None:
    deadline, pending = time.monotonic() + _LIMIT_S, {"out": b"", "err": b""}
    while selector.get_map():
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            heard.cut = cut_after_s is not None and heard.of("began") is not None
            if heard.cut or progress.status is not None:
                return
            raise LabError("the lab did not end in time\n" + "\n".join(heard.text[-15:]))
        for key, _ in selector.select(left_s):
            data = os.read(key.fd, 65536)
            if not data:
                selector.unregister(key.fileobj)
            elif key.data == "control":
                progress.hear(data)
            else:
                *lines, pending[key.data] = (pending[key.data] + data).split(b"\n")
                for line in lines:
                    _heard(line.decode(errors="replace"), heard, log)
                    if heard.told and heard.told[-1]["what"] == "began" and cut_after_s is not None:
                        deadline = min(deadline, time.monotonic() + cut_after_s)
            if heard.paused:
                heard.cut = True
                return
        if progress.status is not None:
            deadline = min(deadline, time.monotonic() + 3)


def _heard(line: str, heard: Heard, log: Path | None) -> None:
    heard.text.append(line)
    if line.startswith("{"):
        heard.told.append(json.loads(line))
        if log is not None:
            heard.marks.append((str(heard.told[-1]["what"]), log.stat().st_size))
    elif line.startswith(PAUSED):
        heard.paused = line.removeprefix(PAUSED).strip()


def copied(disk: Path, to: Path) -> Path:
    """A disk that is mostly holes."""
    argv = ["cp", "--reflink=auto", "--sparse=always", str(disk), str(to)]
    subprocess.run(argv, check=True)
    return to


def logged(disk: Path, log: Path) -> Disk:
    """A kept disk of which every write is also put into a log, in order."""
    log.unlink(missing_ok=True)
    log.touch()
    below = disk_kept(disk).blockdevs[0].replace("node-name=vg", "node-name=vgbelow")
    record = f"driver=file,filename={log},node-name=vglog"
    over = "driver=blklogwrites,node-name=vg,file=vgbelow,log=vglog,discard=unmap"
    return Disk(blockdevs=(below, record, over), is_kept=True)


def emptied(folder: Path) -> Path:
    """A new folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
