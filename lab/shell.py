"""`lab shell`: a terminal in a fresh lab."""

import os
import selectors
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from lab.command import machine_from_environment
from lab.machine import RunningLab
from lab.places import LabError
from lab.session import (
    LAB_BROKE,
    Progress,
    exiting_on_signals,
    keep_capabilities,
    print_tail,
    run_folder,
    verdict,
    write_all,
    write_settings,
)


def open_lab_shell() -> int:
    """Boot a lab and connect its terminal to ours until the shell in the lab ends."""
    if not sys.stdin.isatty():
        print("lab: shell wants a terminal; `lab run CMD` does not", file=sys.stderr)
        return 2
    with exiting_on_signals(), run_folder() as folder:
        machine = replace(machine_from_environment(folder), terminal=True)
        write_settings(machine, "shell", "", shutil.get_terminal_size())
        with machine.start() as lab, _raw_terminal():
            signal.signal(signal.SIGWINCH, lambda *_: _send_size(lab))
            progress = _join(lab)
        keep_capabilities(folder)
        try:
            return verdict(progress)
        except LabError as error:
            print(f"lab: {error}", file=sys.stderr)
            print_tail(folder)
            return LAB_BROKE


def _send_size(lab: RunningLab) -> None:
    size = os.get_terminal_size()
    lab.ports["size"].sendall(f"{size.lines} {size.columns}\n".encode())


@contextmanager
def _raw_terminal() -> Iterator[None]:
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def _join(lab: RunningLab) -> Progress:
    progress = Progress()
    terminal, control = lab.ports["terminal"], lab.ports["control"]
    with selectors.DefaultSelector() as selector:
        for source in (0, terminal, control):
            selector.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                data = os.read(key.fd, 65536)
                if key.fileobj is control:
                    progress.hear(data)
                    if not data or progress.status is not None:
                        return progress
                elif key.fileobj is terminal:
                    write_all(1, data)
                elif data:
                    terminal.sendall(data)
                else:
                    selector.unregister(0)
