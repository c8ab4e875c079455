"""Boots a lab on a disk, follows its output line by line, and cuts the lab off when asked."""

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

from lab.machine import Disk, LabMachine, lasting_disk
from lab.places import LabError
from lab.session import Progress, keep_logs, out_dir, run_folder, write_settings
from pizarra.system.flight import PAUSED

_LIMIT_S = 600


@dataclass(slots=True, kw_only=True)
class BootLog:
    """What the lab printed until it ended or was cut off."""

    messages: list[dict[str, Any]] = field(default_factory=list)  # lines of JSON
    text: list[str] = field(default_factory=list)  # all lines
    paused: str = ""  # the step before which the process stopped
    cut: bool = False
    marks: list[tuple[str, int]] = field(default_factory=list)  # message, size of the write log

    def of(self, what: str) -> dict[str, Any] | None:
        """The last message of this kind."""
        return next((line for line in reversed(self.messages) if line["what"] == what), None)


def boot_lab(
    disk: Disk,
    command: str,
    *,
    cut_after_s: float | None = None,
    log: Path | None = None,
) -> BootLog:
    """Boot a lab and run a command in it.

    The lab is cut off when the process pauses, or ``cut_after_s`` after the work began. Raises
    LabError when the lab fails otherwise.
    """
    seen = BootLog()
    with run_folder() as folder:
        # One processor for each lab: two labs with two each would wait for one another on two cores
        machine = LabMachine(run_dir=folder, out_dir=out_dir(), disk=disk, memory_mib=3072, vcpus=1)
        write_settings(machine, "command", command, os.terminal_size((80, 24)))
        progress = Progress()
        with machine.start() as lab, selectors.DefaultSelector() as selector:
            for name in ("control", "out", "err"):
                selector.register(lab.ports[name], selectors.EVENT_READ, name)
            _follow(selector, progress, seen, cut_after_s, log)
        if not seen.cut and progress.status != 0:
            keep_logs(folder)
            raise LabError(f"{command}: {progress.complaint or progress.status}\n"
                           + "\n".join(seen.text[-15:]))  # fmt: skip
    return seen


def _follow(
    selector: selectors.BaseSelector,
    progress: Progress,
    seen: BootLog,
    cut_after_s: float | None,
    log: Path | None,
) -> None:
    deadline, pending = time.monotonic() + _LIMIT_S, {"out": b"", "err": b""}
    while selector.get_map():
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            seen.cut = cut_after_s is not None and seen.of("began") is not None
            if seen.cut or progress.status is not None:
                return
            raise LabError("the lab did not end in time\n" + "\n".join(seen.text[-15:]))
        for key, _ in selector.select(left_s):
            data = os.read(key.fd, 65536)
            if not data:
                selector.unregister(key.fileobj)
            elif key.data == "control":
                progress.hear(data)
            else:
                *lines, pending[key.data] = (pending[key.data] + data).split(b"\n")
                for line in lines:
                    _take_line(line.decode(errors="replace"), seen, log)
                    if (
                        seen.messages
                        and seen.messages[-1]["what"] == "began"
                        and cut_after_s is not None
                    ):
                        deadline = min(deadline, time.monotonic() + cut_after_s)
            if seen.paused:
                seen.cut = True
                return
        if progress.status is not None:
            deadline = min(deadline, time.monotonic() + 3)


def _take_line(line: str, seen: BootLog, log: Path | None) -> None:
    seen.text.append(line)
    if line.startswith("{"):
        seen.messages.append(json.loads(line))
        if log is not None:
            seen.marks.append((str(seen.messages[-1]["what"]), log.stat().st_size))
    elif line.startswith(PAUSED):
        seen.paused = line.removeprefix(PAUSED).strip()


def copy_disk(disk: Path, to: Path) -> Path:
    """Copy a disk; its holes stay holes."""
    argv = ["cp", "--reflink=auto", "--sparse=always", str(disk), str(to)]
    subprocess.run(argv, check=True)
    return to


def disk_with_write_log(disk: Path, log: Path) -> Disk:
    """A lasting disk. QEMU also appends every write to ``log``, in order."""
    log.unlink(missing_ok=True)
    log.touch()
    below = lasting_disk(disk).blockdevs[0].replace("node-name=vg", "node-name=vgbelow")
    record = f"driver=file,filename={log},node-name=vglog"
    over = "driver=blklogwrites,node-name=vg,file=vgbelow,log=vglog,discard=unmap"
    return Disk(blockdevs=(below, record, over), is_kept=True)


def make_empty_folder(folder: Path) -> Path:
    """Make a new, empty folder in the place of any old one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
