"""Runs the lab as its users do: as a command, from outside."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_REPO = Path(__file__).resolve().parents[2]


@pytest.fixture
def out() -> Iterator[Path]:
    """A folder for this test below the folder that the lab sees as $LAB_OUT."""
    folder = _REPO / "build/lab-out" / f"test-{os.getpid()}"
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)


def lab(command: str, **settings: object) -> subprocess.Popen[bytes]:
    """Start `lab run` with LAB_… settings and its output in pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", "lab", "run", command],
        cwd=_REPO,
        env=os.environ | {name: str(value) for name, value in settings.items()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def qemu_of(disk: Path) -> list[int]:
    """Living processes with `disk` in their arguments, without killed ones that nobody reaped."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if command.startswith(b"qemu-system") and os.fsencode(disk) in command:
            found.append(int(process.name))
    return found


def is_gone(disk: Path, *, within_s: float) -> bool:
    """Whether no QEMU on `disk` is left; waits while the kernel ends the last one."""
    deadline = time.monotonic() + within_s
    while qemu_of(disk) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not qemu_of(disk)


def test_lab_when_run_twice_then_output_status_and_disk_come_through(
    tmp_path: Path, out: Path
) -> None:
    disk = tmp_path / "disk.img"
    work = (
        "echo first; lvcreate -q -L 64M -T vg_class/pool >&2 &&"
        "lvcreate -q -V 64M -T vg_class/pool -n kept >&2 &&"
        "printf '\\0\\377kept\\r\\n' >$LAB_OUT/{}/bytes; cat $LAB_OUT/{}/bytes >/dev/vg_class/kept;"
        "virsh list --all --name; pizarra --help >/dev/null; echo pizarra=$?;"
        "sleep 1000 & cat $LAB_OUT/{}/bytes; exit 3"
    ).replace("{}", out.name)
    first = lab(work, LAB_DISK=disk)
    assert first.stdout is not None
    assert first.stdout.readline() == b"first\n"
    assert first.poll() is None  # the output came while the lab was running
    stdout, stderr = first.communicate()
    assert (first.returncode, stdout) == (3, b"\npizarra=0\n\0\377kept\r\n"), stderr.decode()
    assert (out / "bytes").read_bytes() == b"\0\377kept\r\n"
    assert qemu_of(disk) == []

    second = lab("head -c 8 /dev/vg_class/kept; kill -KILL $$", LAB_DISK=disk)
    stdout, stderr = second.communicate()
    assert (second.returncode, stdout) == (128 + signal.SIGKILL, b"\0\377kept\r\n"), stderr.decode()


def test_lab_when_it_is_killed_then_nothing_is_left(tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    running = lab("echo up; sleep 1000", LAB_DISK=disk)
    assert running.stdout is not None
    assert running.stdout.readline() == b"up\n"
    assert len(qemu_of(disk)) == 1
    running.kill()
    running.communicate()
    assert is_gone(disk, within_s=30)


def test_lab_when_time_is_up_then_it_says_so_and_ends_with_124(tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    late = lab("true", LAB_DISK=disk, LAB_TIMEOUT=1)
    _, stderr = late.communicate()
    assert late.returncode == 124
    assert b"stopped after 1 s" in stderr
    assert qemu_of(disk) == []
