"""One run of a lab as its user sees it: output, deadline, logs and exit status."""

import compileall
import contextlib
import fcntl
import os
import select
import selectors
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.kernel import get_kernel
from lab.machine import LabMachine, RunningLab
from lab.places import CAPABILITIES, LOGS, OUT, REPO, LabError

TIMED_OUT = 124
LAB_BROKE = 125
OUTPUT_CLOSED = 128 + signal.SIGPIPE
_POWER_OFF_GRACE_S = 3.0
_PASSED_ON = ("LAB_", "PIZARRA_", "CI", "TERM", "COLORTERM", "NO_COLOR", "HYPOTHESIS_")


@dataclass(slots=True, kw_only=True)
class Progress:
    """What the guest has reported on its control port."""

    started_s: float = field(default_factory=time.monotonic)
    stages_s: dict[str, float] = field(default_factory=dict)
    status: int | None = None
    complaint: str = ""
    pending: bytes = b""

    def hear(self, data: bytes) -> None:
        """Take more bytes from the control port."""
        *lines, self.pending = (self.pending + data).split(b"\n")
        for line in lines:
            word, _, rest = line.decode(errors="replace").partition(" ")
            if word == "stage":
                self.stages_s[rest] = time.monotonic() - self.started_s
            elif word == "exit":
                self.status = int(rest)
            elif word == "broken":
                self.complaint = rest


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """A new folder for the settings and logs of one run. It is removed unless it has `kept`."""
    LOGS.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=LOGS, prefix=time.strftime("%Y%m%d-%H%M%S-")))
    handle = os.open(folder, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)  # a locked folder is in use: see _prune
    try:
        yield folder
    finally:
        if not (folder / "kept").exists():
            shutil.rmtree(folder)
        os.close(handle)
        _prune()


def keep_logs(folder: Path) -> None:
    """Keep the logs of this run, and print where they are."""
    (folder / "kept").touch()
    print(f"lab: logs are kept in {folder.relative_to(REPO)}", file=sys.stderr)


def _prune(newest: int = 20) -> None:
    for folder in sorted(LOGS.iterdir())[:-newest]:
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            handle = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(handle)


def write_settings(machine: LabMachine, mode: str, command: str, size: os.terminal_size) -> None:
    """Tell the guest's second stage what to do: see lab/guest/boot."""
    compile_sources()
    merge = mode == "command" and os.path.sameopenfile(1, 2)
    settings = {
        "LAB_MODE": mode,
        "LAB_MERGE": int(merge),
        "LAB_OUT": machine.out_dir,
        "LAB_CWD": Path.cwd(),
        "LAB_CAPABILITIES": CAPABILITIES,
        "LAB_MODULES": get_kernel().modules.parent,
        "LAB_BOOT": get_kernel().image.parent / "boot",
        "LAB_DISK_IS_NEW": int(machine.disk.is_new),
        "LAB_DISK_IS_KEPT": int(machine.disk.is_kept),
        "LAB_GUESTS": os.environ.get("LAB_GUESTS", ""),
        "LAB_ROWS": size.lines,
        "LAB_COLUMNS": size.columns,
        "LAB_PATH": f"{REPO}/.venv/bin:" + _SYSTEM_PATH,
    }
    (machine.run_dir / "settings").write_text(_shell(settings))
    passed_on = {k: v for k, v in os.environ.items() if k.startswith(_PASSED_ON)}
    told = {"LAB_OUT": str(machine.out_dir), "PIZARRA_LAB": "1"}
    (machine.run_dir / "environment").write_text(_shell(passed_on | told))
    (machine.run_dir / "cmd").write_text(command)


_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _shell(values: Mapping[str, object]) -> str:
    return "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in values.items())


def compile_sources() -> None:
    """Write the .pyc files on this machine; otherwise each lab compiles again, slowly."""
    for folder in ("src", "lab", "bench", "guests"):
        compileall.compile_dir(REPO / folder, quiet=2)


def out_dir() -> Path:
    """The folder build/lab-out, which the lab sees as $LAB_OUT. Its old content stays."""
    OUT.mkdir(parents=True, exist_ok=True)
    return OUT


def follow(lab: RunningLab, timeout_s: float) -> Progress:
    """Copy the lab's output to ours until the lab is off. Raises TimeoutError at the limit."""
    progress = Progress()
    deadline = progress.started_s + timeout_s
    with selectors.DefaultSelector() as selector:
        for name, target in (("control", -1), ("out", 1), ("err", 2)):
            selector.register(lab.ports[name], selectors.EVENT_READ, target)
        while selector.get_map():
            left_s = deadline - time.monotonic()
            if left_s <= 0 and progress.status is None:
                raise TimeoutError
            if left_s <= 0:
                break  # the exit status came, and disks are flushed: kill the lab
            had_status = progress.status is not None
            for key, _ in selector.select(left_s):
                _copy(selector, key, progress)
            if progress.status is not None and not had_status:
                deadline = time.monotonic() + _POWER_OFF_GRACE_S
    return progress


def _copy(selector: selectors.BaseSelector, key: selectors.SelectorKey, progress: Progress) -> None:
    data = os.read(key.fd, 65536)
    if not data:
        selector.unregister(key.fileobj)
    elif key.data == -1:
        progress.hear(data)
    else:
        write_all(key.data, data)


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`. `fd` may be non-blocking, because another process shares it."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            select.select([], [fd], [])


@contextlib.contextmanager
def exiting_on_signals() -> Iterator[None]:
    """Turn SIGTERM, SIGHUP and SIGINT into SystemExit, so that every block is left in order."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    old = {s: signal.signal(s, leave) for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def print_tail(folder: Path, lines: int = 15) -> None:
    """Print the last lines of the run's logs on stderr."""
    for path in sorted(folder.glob("*.log")):
        tail = path.read_text(errors="replace").splitlines()[-lines:]
        if tail:
            print(f"--- {path.name}", *tail, sep="\n", file=sys.stderr)


def keep_capabilities(folder: Path) -> None:
    """Keep what the lab's libvirtd learned about QEMU, so that the next lab need not probe."""
    for learned in folder.glob("capabilities/*.xml"):
        CAPABILITIES.mkdir(parents=True, exist_ok=True)
        learned.rename(CAPABILITIES / learned.name)


def verdict(progress: Progress) -> int:
    """The exit status that the guest reported. Raises LabError when it reported none."""
    if progress.complaint:
        raise LabError(f"the lab did not boot: {progress.complaint}")
    if progress.status is None:
        raise LabError("the lab stopped before its command ended")
    return progress.status
