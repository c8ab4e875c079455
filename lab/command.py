"""`lab run`: one command in a fresh lab."""

import os
import sys
from pathlib import Path

from lab.accelerator import choose_accelerator
from lab.machine import Disk, LabMachine, lasting_disk, temporary_disk
from lab.places import LabError
from lab.session import (
    LAB_BROKE,
    OUTPUT_CLOSED,
    TIMED_OUT,
    Progress,
    exiting_on_signals,
    follow,
    keep_capabilities,
    keep_logs,
    out_dir,
    print_tail,
    run_folder,
    verdict,
    write_settings,
)


def run_in_lab(command: str) -> int:
    """Boot a lab, run `command` with bash in the lab, and return its exit status.

    The status is 124 at the deadline, and 125 when the lab itself fails.
    """
    debug = bool(os.environ.get("LAB_DEBUG"))
    timeout_s = float(os.environ.get("LAB_TIMEOUT") or 900)
    with exiting_on_signals(), run_folder() as folder:
        try:
            progress = _run(folder, command, timeout_s)
            status = verdict(progress)
            if debug:
                print(f"lab: {progress.stages_s}", file=sys.stderr)
        except BrokenPipeError:
            return OUTPUT_CLOSED
        except TimeoutError:
            print(f"lab: stopped after {timeout_s:g} s (LAB_TIMEOUT)", file=sys.stderr)
            status = TIMED_OUT
        except LabError as error:
            print(f"lab: {error}", file=sys.stderr)
            status = LAB_BROKE
        if status in (TIMED_OUT, LAB_BROKE):
            print_tail(folder)
        if status != 0 or debug:
            keep_logs(folder)
        return status


def _run(folder: Path, command: str, timeout_s: float) -> Progress:
    machine = machine_from_environment(folder)
    write_settings(machine, "command", command, os.terminal_size((80, 24)))
    with machine.start() as lab:
        progress = follow(lab, timeout_s)
    keep_capabilities(folder)
    return progress


def machine_from_environment(folder: Path) -> LabMachine:
    """The lab that the LAB_ variables describe. Prints the accelerator on stderr."""
    accelerator = choose_accelerator()
    print(f"lab: booting ({accelerator.words})", file=sys.stderr, flush=True)
    return LabMachine(
        run_dir=folder,
        out_dir=out_dir(),
        disk=_disk(),
        accelerator=accelerator,
        memory_mib=int(os.environ.get("LAB_MEMORY_MIB") or 6144),
        vcpus=int(os.environ.get("LAB_VCPUS") or 2),
    )


def _disk() -> Disk:
    kept = os.environ.get("LAB_DISK")
    return lasting_disk(Path(kept)) if kept else temporary_disk()
