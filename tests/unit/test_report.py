"""The flight record, and the bundle that it ends up in."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from pizarra.engine.memory_host import memory_host
from pizarra.errors import BadInput
from pizarra.service.context import Context
from pizarra.service.guard import guard
from pizarra.service.report import remove_secrets, report
from pizarra.settings import Settings
from pizarra.system import flight
from tests.unit.test_reset import School

DAYS = 14.0
_PAUSES = """
from pizarra.system.flight import record
for n in range(5):
    record(f"dm message delete {n}")
    print(n, flush=True)
"""


def test_record_when_told_to_pause_then_the_step_never_comes_and_it_says_so() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PAUSES],
        env=os.environ | {"PIZARRA_PAUSE_AT": "delete #3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stderr
        assert child.stdout
        assert child.stderr.readline() == f"{flight.PAUSED} dm message delete 2\n"
        child.kill()
        assert child.stdout.read().split() == ["0", "1"]


def test_flight_when_kept_on_disk_then_the_last_line_is_what_was_about_to_happen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flight, "_recorder", flight._Recorder())
    for _ in range(3):
        flight.keep_on_disk(tmp_path / "flights", "pizarra reset net", DAYS)
        flight.record("lvm lvs")
    newest = flight.flights(tmp_path / "flights")[0].read_text().splitlines()
    assert newest[0] == "pizarra reset net"
    assert newest[-1].endswith("lvm lvs")


def fly(folder: Path, command: str, monkeypatch: pytest.MonkeyPatch, pid: int) -> None:
    """A process that is killed unless somebody says how it ends."""
    monkeypatch.setattr(flight, "_recorder", flight._Recorder())
    monkeypatch.setattr("os.getpid", lambda: pid)
    flight.keep_on_disk(folder, f"/usr/bin/pizarra {command}", DAYS)
    flight.record("lvm lvs")


def titles(folder: Path) -> list[str]:
    read = [path.read_text().splitlines()[0] for path in flight.flights(folder)]
    return sorted(title.removeprefix("/usr/bin/pizarra ") for title in read)


def test_flight_when_the_guard_runs_often_then_it_pushes_no_other_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fly(tmp_path, "reset net", monkeypatch, 1)
    flight.stop_keeping(failed=False)
    for pid in range(2, 32):
        fly(tmp_path, "guard", monkeypatch, pid)
        flight.stop_keeping(failed=False)
    assert titles(tmp_path) == ["guard"] * 3 + ["reset net"]


def test_guard_when_it_has_nothing_to_say_then_it_leaves_no_flight_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    school = School()
    school.dirty(1)
    school.reset()
    fly(tmp_path, "guard", monkeypatch, 1)
    guard(school.context)
    assert titles(tmp_path) == []
    settings = Settings(undo_hours=0)
    fly(tmp_path, "guard", monkeypatch, 2)
    guard(Context(memory_host(school.storage, school.compute, settings)))
    flight.stop_keeping(failed=False)
    assert titles(tmp_path) == ["guard"], "this one dropped an undo"


def test_flight_when_commands_failed_or_died_then_kept_for_days_whatever_ran_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fly(tmp_path, "reset died", monkeypatch, 1)
    fly(tmp_path, "reset failed", monkeypatch, 2)
    flight.stop_keeping(failed=True)
    fly(tmp_path, "reset old", monkeypatch, 3)
    flight.stop_keeping(failed=True)
    (old,) = [path for path in flight.flights(tmp_path) if "old" in path.read_text()]
    long_ago = time.time() - (DAYS + 1) * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    for pid in range(4, 54):
        fly(tmp_path, "start well", monkeypatch, pid)
        flight.stop_keeping(failed=False)
    assert titles(tmp_path) == ["reset died", "reset failed", *["start well"] * 20]


@pytest.mark.parametrize(
    ("libvirt", "end"), [("test:///default", "-well"), ("nobody:///", "-failed")]
)
def test_command_when_it_ends_then_its_flight_record_says_how(
    libvirt: str, end: str, tmp_path: Path
) -> None:
    """No such classroom is an answer; no libvirt is a fault that somebody will look for."""
    env = {"PYTHONPATH": "src", "PIZARRA_STATE_FOLDER": str(tmp_path),
           "PIZARRA_FOLDER": str(tmp_path / "disks"), "PIZARRA_LIBVIRT_URI": libvirt}  # fmt: skip
    argv = [sys.executable, "-m", "pizarra", "status", "nothing"]
    done = subprocess.run(argv, env=os.environ | env, capture_output=True, text=True, check=False)
    (file,) = flight.flights(tmp_path / "flights")
    assert file.name.endswith(end), done.stderr


def test_report_when_written_then_it_has_settings_and_flights_and_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flights").mkdir()
    (tmp_path / "flights/1").write_text("psql postgresql://me:hunter2@host/db password=hunter3\n")
    monkeypatch.setenv("PIZARRA_DATABASE", "postgresql://me:hunter4@host/db")
    target = report(Settings(state_folder=tmp_path), tmp_path / "r.tar.gz", lambda _: None)
    with tarfile.open(target) as bundle:
        texts = {m.name: bundle.extractfile(m).read().decode() for m in bundle}  # type: ignore[union-attr]
    whole = "\n".join(texts.values())
    assert "undo_hours = 24" in texts["pizarra-report/pizarra.txt"]
    for part in ("systemctl-failed", "journal-pizarra", "journal-libvirt", "dmesg", "dmesg-dm",
                 "versions-thin", "versions-qemu", "versions-packages", "lvm-version"):  # fmt: skip
        assert texts[f"pizarra-report/{part}.txt"].startswith("$ "), part
    assert "psql postgresql://me:[left out]@host/db" in texts["pizarra-report/flights/1.txt"]
    assert "hunter" not in whole
    assert target.stat().st_mode & 0o077 == 0


def test_report_when_the_file_is_there_then_it_stays_as_it_is(tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.write_text("mine")
    with pytest.raises(BadInput):
        report(Settings(), target, lambda _: None)
    assert target.read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("token=abc rest", "token=[left out] rest"),
        ("Passwd: x", "Passwd: [left out]"),
        ("lvs -a vg_class", "lvs -a vg_class"),
        ("Authorization: Bearer piz_abcdefgh12345", "Authorization: [left out]"),
        ("sent bearer abc.def-ghi12 on", "sent bearer [left out] on"),
        (
            "identify net --password hunter2 --user eva",
            "identify net --password [left out] --user eva",
        ),
        ("--password='hunter 2' x", "--password=[left out] x"),
        ('{"password": "hunter 2", "user": "eva"}', '{"password": [left out], "user": "eva"}'),
        ("curl -u ana:hola123 https://a/", "curl -u ana:[left out] https://a/"),
        ("sshpass -p hola123 ssh a", "sshpass -p [left out] ssh a"),
        ("token 0123456789abcdef0123", "token [left out]"),
        ("the token expires soon", "the token expires soon"),
        ("rbd:a:key=AQB5uQ9gAAAAABAA3ZbGzCDgxfLw0x0QbzO1Aw==", "rbd:a:key=[left out]"),
        ("iscsi://ana%hola123@host/1", "iscsi://ana%[left out]@host/1"),
        (r'{"password": "a\"b", "n": 1}', '{"password": [left out], "n": 1}'),
        ("GET /console/abcdef0123456789:1x", "GET /console/[left out]"),
        ("x" * 5000, "x" * 4096),
        ("identify --password-file secret.txt", "identify --password-file [left out]"),
        ("eva:$6$saltsalt$0123456789abcdef./:19000", "eva:[left out]:19000"),
        ("hash $y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o. x", "hash [left out] x"),
        ("$argon2id$v=19$m=102400,t=2,p=8$c2FsdA$aGFzaA", "[left out]"),
        ("Cookie: pizarra=abcdef0123456789; csrftoken=x", "Cookie: [left out]"),
        ("set-cookie: __Host-pizarra=abcdef0123456789", "set-cookie: [left out]"),
        ("got __Host-pizarra=abcdef0123456789 back", "got __Host-pizarra=[left out] back"),
        ("token piz_0123456789abcdef", "token [left out]"),
        ("-----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY-----\nx", "[left out]\nx"),
        ("price $6 and $7 for tokens", "price $6 and $7 for tokens"),
        ("/dev/mapper/vg-token--lab 0 8", "/dev/mapper/vg-token--lab 0 8"),
        ("pizarra.role=seat pizarra.classroom=net", "pizarra.role=seat pizarra.classroom=net"),
    ],
)
def test_secrets_when_in_text_then_left_out(text: str, kept: str) -> None:
    assert remove_secrets(text) == kept
