"""Locks between processes: all or none, Busy says who and since, the kernel drops them."""

from __future__ import annotations

import fcntl
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pizarra.errors import Busy, StorageFault
from pizarra.system.locks import claiming, holding_vg_lock

HOLDER = """
import sys, time
from pathlib import Path
from pizarra.system.locks import claiming
with claiming(sys.argv[2:], "reset", folder=Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(folder: Path, *names: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has claimed these; it lets go when the block ends."""
    argv = [sys.executable, "-c", HOLDER, str(folder), *names]
    env = os.environ | {"PYTHONPATH": "src", "SUDO_USER": "ana"}
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    ) as child:
        assert child.stdout and child.stdin
        assert child.stdout.readline() == "held\n"
        yield child
        child.stdin.close()


def test_claimed_when_another_process_has_it_then_busy_says_who_and_since(tmp_path: Path) -> None:
    with holder(tmp_path, "net-01", "net-02") as other:
        with pytest.raises(Busy) as busy, claiming(["net-02"], "reset", folder=tmp_path):
            pass
        assert busy.value.facts["pid"] == other.pid
        assert busy.value.facts["verb"] == "reset"
        said = r"net-02 is busy: reset by ana, process \d+, since 20\d\d-"
        assert re.match(said, str(busy.value))
    with claiming(["net-02"], "reset", folder=tmp_path):
        pass


def test_claimed_when_one_of_several_is_busy_then_none_is_held(tmp_path: Path) -> None:
    with holder(tmp_path, "net-02"):
        with (
            pytest.raises(Busy),
            claiming(["net-03", "net-02", "net-01"], "stop", folder=tmp_path),
        ):
            pass
        with claiming(["net-01", "net-03"], "stop", folder=tmp_path):
            pass


def test_claimed_when_its_process_is_killed_then_is_free(tmp_path: Path) -> None:
    with holder(tmp_path, "net-01") as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        with claiming(["net-01"], "reset", folder=tmp_path):
            pass


def test_claimed_when_waiting_then_goes_on_as_soon_as_the_other_ends(tmp_path: Path) -> None:
    with holder(tmp_path, "net-01") as other:
        assert other.stdin
        other.stdin.close()
        with claiming(["net-01"], "reset", wait_s=60, folder=tmp_path):
            pass


def test_claimed_when_named_twice_then_is_claimed_once(tmp_path: Path) -> None:
    with claiming(["net-01", "net-01"], "reset", folder=tmp_path):
        pass


def test_claimed_when_the_record_is_damaged_then_busy_all_the_same(tmp_path: Path) -> None:
    with holder(tmp_path, "net-01"):
        for text in (b"", b"\xff", b"{"):
            (tmp_path / "net-01").write_bytes(text)
            with pytest.raises(Busy) as busy, claiming(["net-01"], "reset", folder=tmp_path):
                pass
            assert str(busy.value)


def test_vg_when_lvm_holds_it_for_too_long_then_fault_names_the_group(tmp_path: Path) -> None:
    with (tmp_path / "V_vg").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with (
            pytest.raises(StorageFault, match="vg"),
            holding_vg_lock("vg", timeout_s=0.05, folder=tmp_path),
        ):
            pass


def test_vg_when_held_then_nobody_else_gets_it_and_later_they_do(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with (
        holding_vg_lock("vg", folder=folder),
        (folder / "V_vg").open("a") as file,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with holding_vg_lock("vg", timeout_s=0.05, folder=folder):
        pass


def test_vg_when_lvm_unlinked_the_file_meanwhile_then_the_new_one_is_locked(tmp_path: Path) -> None:
    path = tmp_path / "V_vg"
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        script = (
            "import sys; from pathlib import Path\n"
            "from pizarra.system.locks import holding_vg_lock\n"
            "print('waits', flush=True)\n"
            "folder = Path(sys.argv[1])\n"
            "with holding_vg_lock('vg', folder=folder): print('held', flush=True), input()"
        )
        argv = [sys.executable, "-c", script, str(tmp_path)]
        env = os.environ | {"PYTHONPATH": "src"}
        with subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        ) as child:
            assert child.stdout
            assert child.stdout.readline() == "waits\n"
            path.unlink()
            fcntl.flock(file, fcntl.LOCK_UN)
            assert child.stdout.readline() == "held\n"
            with path.open("a") as again, pytest.raises(BlockingIOError):
                fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
            child.communicate("\n")


def test_claimed_when_shared_then_others_share_it_and_nobody_has_it_alone(tmp_path: Path) -> None:
    with claiming(["net-01"], "reset", shared=["net"], folder=tmp_path):
        with claiming(["net-02"], "reset", shared=["net"], folder=tmp_path):
            pass
        with pytest.raises(Busy, match="net is busy"), claiming(["net"], "delete", folder=tmp_path):
            pass
    with (
        claiming(["net"], "delete", folder=tmp_path),
        pytest.raises(Busy),
        claiming(["net-01"], "reset", shared=["net"], folder=tmp_path),
    ):
        pass


def test_claimed_when_a_classroom_has_the_name_of_a_seat_then_both_are_free(tmp_path: Path) -> None:
    for first, second in (("seat:net-01", "classroom:net-01"), ("classroom:net-01", "seat:net-01")):
        with holder(tmp_path, first):
            with claiming([second], "reset", folder=tmp_path):
                pass
            with pytest.raises(Busy, match="net-01 is busy"):
                claim(tmp_path, first)
    with holder(tmp_path, "template:x"):
        claim(tmp_path, "classroom:template-x")
        with claiming([], "export", shared=["classroom:template-x"], folder=tmp_path):
            pass


def claim(folder: Path, *names: str) -> None:
    with claiming(names, "reset", folder=folder):
        pass


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("net-01", "seat:net-01"),
        ("net", "classroom:net"),
        ("aula-01", "classroom:aula-01"),  # which could be a seat
        ("template-debian", "template:debian"),
    ],
)
def test_claimed_when_a_process_of_the_first_version_has_it_then_busy_both_ways(
    tmp_path: Path, old: str, new: str
) -> None:
    """During an upgrade: that version claimed by the name alone."""
    with holder(tmp_path, old), pytest.raises(Busy, match=f"{old} is busy: reset by ana"):
        claim(tmp_path, new)
    with holder(tmp_path, new), pytest.raises(Busy):
        claim(tmp_path, old)


def test_claimed_when_the_first_version_works_on_some_seats_then_the_class_is_busy(
    tmp_path: Path,
) -> None:
    with claiming(["net-02"], "reset", shared=["net"], folder=tmp_path):
        with pytest.raises(Busy):
            claim(tmp_path, "classroom:net")
        with claiming(["seat:net-01"], "reset", shared=["classroom:net"], folder=tmp_path):
            pass
        with pytest.raises(Busy):
            claim(tmp_path, "seat:net-02")


def test_claimed_when_many_seats_are_named_then_files_do_not_run_out(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        claim(tmp_path, *(f"seat:net-{number:02d}" for number in range(1, 400)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
