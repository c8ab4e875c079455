"""A host that is half there: full, read-only and closed file systems, few letters, no folder."""

from __future__ import annotations

import errno
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from pizarra.cli import letters
from pizarra.cli.output import Printer, print_json
from pizarra.compute.kvm_choice import is_kvm_usable, remember_kvm
from pizarra.engine import growth
from pizarra.engine.fitness.look_tools import try_tools
from pizarra.engine.journal import Journal
from pizarra.errors import BadInput, StorageFault
from pizarra.model.facts import Pool
from pizarra.model.outcome import Outcome
from pizarra.server.project.secret import make_secret_key, secret_key
from pizarra.service import activity, classrooms, verbs
from pizarra.storage.kinds import Kind
from pizarra.system import flight
from pizarra.system.kvm import KvmProbe, KvmVerdict
from pizarra.system.locks import claiming
from pizarra.system.refusals import reporting_refusals
from tests.unit.test_journal import no_file_may_grow
from tests.unit.test_reset import SEATS, School, outcomes

ROOT = Path(__file__).parents[2]


@pytest.fixture
def school() -> School:
    return School()


# ---- records and notes


def test_reset_when_the_journal_cannot_be_written_then_refused_and_nothing_happened(
    school: School,
) -> None:
    verbs.start(school.context, "net")
    school.dirty(1, 2)
    school.compute.calls.clear()
    with no_file_may_grow(), pytest.raises(StorageFault, match="journal"):
        school.reset()
    assert {call for call, _ in school.compute.calls} <= {"observe", "xml", "live_xml"}
    assert school.content(1) == b"a studen"
    assert outcomes(school.reset())[:2] == [Outcome.DONE] * 2


def test_looking_when_no_file_can_be_written_then_it_goes_on(
    school: School, tmp_path: Path
) -> None:
    with no_file_may_grow():
        flight.keep_on_disk(tmp_path / "flights", "pizarra status net", 14)
        try:
            for _ in range(3):
                flight.record("a step")
            assert outcomes(verbs.status(school.context, "net")) == [Outcome.DONE] * SEATS
            assert outcomes(verbs.verify(school.context, "net")) == [Outcome.DONE] * SEATS
            assert classrooms.show(school.context, "net")["seats"]
        finally:
            flight.stop_keeping(failed=False)


def test_flight_when_there_is_room_again_then_it_goes_on_with_whole_lines(tmp_path: Path) -> None:
    flight.keep_on_disk(tmp_path, "pizarra reset net", 14)
    try:
        with no_file_may_grow():
            flight.record("lost")
        flight.record("kept")
    finally:
        flight.stop_keeping(failed=False)
    (file,) = flight.flights(tmp_path)
    title, line = file.read_text().splitlines()
    assert title == "pizarra reset net"
    assert line.endswith("kept")


def test_flight_when_python_ends_with_a_full_disk_then_it_says_nothing(tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from pizarra.system import flight\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "flight.keep_on_disk(Path(sys.argv[1]), 'title', 14)\n"
        "flight.record('one'); flight.record('two')\n"
    )
    argv = [sys.executable, "-c", script, str(tmp_path / "flights")]
    done = subprocess.run(argv, capture_output=True, text=True, env=os.environ | PYTHON)
    assert (done.returncode, done.stderr) == (0, "")


PYTHON = {"PYTHONPATH": str(ROOT / "src")}


def test_claim_when_its_text_cannot_be_written_then_the_lock_counts(tmp_path: Path) -> None:
    with no_file_may_grow(), claiming(["seat:net-01"], "reset", folder=tmp_path):
        pass


def test_notes_when_they_cannot_be_written_then_nobody_is_stopped(
    school: School, tmp_path: Path
) -> None:
    closed = tmp_path / "file"
    closed.write_text("")  # no folder can be made in a file
    activity.record_activity(closed, "net", 1)
    pool = Pool(kind=Kind.LVM_THIN, place="vg", name="p", size_bytes=9, free_bytes=1)
    growth.record(closed / "growth", [pool])
    with no_file_may_grow():
        growth.record(tmp_path / "growth", [pool])
    assert growth.history(tmp_path / "growth", pool) == ()
    probe = KvmProbe(verdict=KvmVerdict.RAN, detail="")
    remember_kvm(probe, file=closed / "kvm.json")
    seats = school.context.host.observe().classroom("net").seats
    activity.forget(school.context, seats)


def test_kvm_verdict_when_it_was_cut_short_then_no_rest_is_left(tmp_path: Path) -> None:
    with no_file_may_grow():
        remember_kvm(KvmProbe(verdict=KvmVerdict.RAN, detail=""), file=tmp_path / "kvm.json")
    remember_kvm(KvmProbe(verdict=KvmVerdict.RAN, detail=""), file=tmp_path / "kvm.json")
    assert is_kvm_usable(file=tmp_path / "kvm.json")
    assert [one.name for one in tmp_path.iterdir()] == ["kvm.json"]


def test_secret_key_when_the_disk_was_full_then_it_is_made_the_next_time(tmp_path: Path) -> None:
    with no_file_may_grow(), pytest.raises(OSError, match="File too large"):
        make_secret_key(tmp_path)
    make_secret_key(tmp_path)
    assert secret_key(tmp_path) == secret_key(tmp_path)
    assert (tmp_path / "secret-key").stat().st_mode & 0o777 == 0o600


def test_delete_when_the_state_folder_cannot_be_changed_then_the_class_is_gone(
    school: School, own_state: Path
) -> None:
    verbs.start(school.context, "net")
    school.dirty(1)
    school.reset()
    index = own_state / "undo"
    shut = [*index.iterdir()]
    assert shut
    for one in shut:
        one.unlink()
        one.mkdir()  # an unlink fails, as on a read-only file system
    report = classrooms.delete(school.context, "net")
    assert set(outcomes(report)) == {Outcome.DONE}


# ---- errors in words


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "df -h"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "namei -l /var/x"),
        (errno.EDQUOT, "quota"),
        (errno.EIO, "dmesg"),
        (errno.EMFILE, "ulimit"),
    ],
)
def test_refusal_when_the_system_refuses_then_it_says_what_to_do(number: int, hint: str) -> None:
    words = "/var/x cannot be written or read"
    with pytest.raises(StorageFault, match=words) as refused, reporting_refusals():
        raise OSError(number, os.strerror(number), "/var/x")
    assert hint in refused.value.advice


def test_refusal_when_it_is_a_mistake_of_ours_then_it_stays_one() -> None:
    with pytest.raises(FileNotFoundError), reporting_refusals():
        Path("/no/such/file").read_text()


def test_folder_when_the_one_of_the_command_is_gone_then_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(BadInput, match="is gone"), reporting_refusals():
        Path("image.qcow2").absolute()


def test_temporary_files_when_there_is_no_room_then_it_says_where(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    with no_file_may_grow():
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # a single byte is enough for tempfile
        with pytest.raises(StorageFault, match="/var/tmp"), reporting_refusals():
            tempfile.gettempdir()
        assert "/var/tmp" in try_tools(["thin_delta"])["thin_delta"]


def test_journal_when_its_folder_cannot_be_read_then_that_is_not_an_empty_one(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "journal"
    folder.write_text("")
    with pytest.raises(OSError, match="Not a directory"):
        Journal(folder).records()
    assert Journal(tmp_path / "none").records() == ([], [])


def test_command_when_its_folder_is_gone_then_no_traceback(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    told = 'cd "$1" && rmdir "$1" && exec "$2" -m pizarra template import t image.qcow2'
    argv = ["sh", "-c", told, "sh", str(gone), sys.executable]
    state = {"PIZARRA_STATE_FOLDER": str(tmp_path), "PIZARRA_RUN_FOLDER": str(tmp_path)}
    done = subprocess.run(argv, capture_output=True, text=True, env=os.environ | PYTHON | state)
    assert "Traceback" not in done.stderr
    assert (done.returncode, "is gone" in done.stderr) == (2, True), done.stderr


# ---- letters


def stream(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("latin-1", "+ x · 3 señales ... \\u4e2d"),
        ("ascii", "+ x - 3 senales ... \\u4e2d"),
        ("utf-8", "✔ ✘ · 3 señales … 中"),
    ],
)
def test_print_when_the_terminal_knows_few_letters_then_signs_in_plain_letters(
    encoding: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, err = stream(encoding), stream(encoding)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    letters.print_any_text()
    for is_error, its in ((False, out), (True, err)):
        Printer(is_error=is_error).print("✔ ✘ · 3 señales … 中")
        assert its.buffer.getvalue().decode(encoding) == f"{shown}\n"  # type: ignore[attr-defined]


def test_json_when_the_terminal_knows_few_letters_then_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = stream("latin-1")
    monkeypatch.setattr(sys, "stdout", out)
    print_json({"says": "✔ señal 中"})
    out.flush()
    assert json.loads(out.buffer.getvalue()) == {"says": "✔ señal 中"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("locale", ["C", "es_ES.ISO-8859-1"])
def test_host_check_when_the_locale_is_no_utf_8_then_no_traceback(
    locale: str, tmp_path: Path
) -> None:
    argv = [sys.executable, "-m", "pizarra", "host", "check"]
    encoding = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0", "LC_ALL": locale}
    state = {"PIZARRA_STATE_FOLDER": str(tmp_path), "PIZARRA_RUN_FOLDER": str(tmp_path)}
    env = os.environ | PYTHON | encoding | state
    done = subprocess.run(argv, capture_output=True, env=env)
    assert done.returncode in (0, 3), done.stderr
    assert b"Traceback" not in done.stderr


# ---- a terminal that closes

HANGUP = """
import sys, time
from pathlib import Path
from pizarra.cli.output import err, out, showing_progress
from pizarra.engine.events import Advanced, Began, Noted, Settled
from pizarra.model.outcome import Outcome, SeatOutcome
from pizarra.service.context import Context
from tests.unit.test_journal import no_file_may_grow
from tests.unit.test_reset import School

school, folder = School(), Path(sys.argv[1])
with school.context.claim(["seat:net-01"], "reset"), showing_progress() as emit:
    emit(Began(what="reset", total=2))
    (folder / "begun").touch()
    while not (folder / "closed").exists():
        time.sleep(0.01)
    for number in range(50):
        emit(Settled(outcome=SeatOutcome(seat=f"net-{number}", outcome=Outcome.DONE)))
        emit(Noted(text="a note", facts={}))
        err.print("on stderr")
        out.print("on stdout")
        time.sleep(0.01)
(folder / "ended").touch()
"""


def test_command_when_its_terminal_closes_then_it_finishes(tmp_path: Path) -> None:
    child, terminal = os.forkpty()
    if child == 0:
        os.chdir(ROOT)
        os.environ["PYTHONPATH"] = f"{ROOT / 'src'}:{ROOT}"
        os.execv(sys.executable, [sys.executable, "-c", HANGUP, str(tmp_path)])
    await_file(tmp_path / "begun", child)
    os.close(terminal)  # the kernel sends SIGHUP, and each write fails with EIO
    (tmp_path / "closed").touch()
    _, status = os.waitpid(child, 0)
    assert (os.waitstatus_to_exitcode(status), (tmp_path / "ended").exists()) == (0, True)


def await_file(path: Path, child: int) -> None:
    while not path.exists():
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "it ended before it began"
        time.sleep(0.01)


def test_results_when_their_reader_is_gone_then_the_command_ends_quietly() -> None:
    script = (
        "from pizarra.cli.output import out\n"
        "for _ in range(20000): out.print('a line of results')\n"
    )
    told = '"$1" -c "$2" | head -n 1'
    argv = ["bash", "-o", "pipefail", "-c", told, "bash", sys.executable, script]
    done = subprocess.run(argv, capture_output=True, text=True, env=os.environ | PYTHON)
    assert (done.returncode, done.stdout, done.stderr) == (0, "a line of results\n", "")


def test_results_when_a_full_disk_does_not_take_them_then_it_is_said() -> None:
    script = (
        "from pizarra.cli.output import out, reporting_errors\n"
        "with reporting_errors(): out.print('a line of results')\n"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script], stdout=full, stderr=subprocess.PIPE, text=True,
            env=os.environ | PYTHON,
        )  # fmt: skip
    assert "stdout cannot be written or read: No space left" in done.stderr
    assert "Exception ignored" not in done.stderr
