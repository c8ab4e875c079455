"""What a child gets from us, and what becomes of what it says."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pizarra.errors import CommandFailed, CommandTimedOut
from pizarra.system.lvm_calls import PINNED, pinned
from pizarra.system.process import environment, run

THEIRS = {
    "LVM_SYSTEM_DIR": "/nowhere",
    "LVM_COMMAND_PROFILE": "none",
    "LVM_VG_NAME": "vg_x",
    "LANG": "es_ES.ISO-8859-1",
    "LC_ALL": "es_ES.ISO-8859-1",
    "LANGUAGE": "es",
    "COLUMNS": "20",
    "TERM": "dumb",
    "PATH": ":.:bin:/usr/bin:/bin",
}


def test_environment_when_ours_is_strange_then_a_child_sees_none_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in THEIRS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PIZARRA_VG", "vg_class")
    child = environment()
    assert not child.keys() & {
        "LVM_SYSTEM_DIR",
        "LVM_VG_NAME",
        "LANG",
        "LANGUAGE",
        "COLUMNS",
        "TERM",
    }
    assert (child["LC_ALL"], child["PIZARRA_VG"]) == ("C.UTF-8", "vg_class")
    assert all(part.startswith("/") for part in child["PATH"].split(":"))


def test_run_when_our_locale_is_latin_1_then_what_a_child_says_is_read_as_utf_8() -> None:
    """Python decodes by its own locale unless it is told."""
    code = (
        "from pizarra.system.process import run;"
        r"print(ascii(run(['printf', r'\303\221']).stdout))"
    )
    env = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONPATH": "src"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == ascii("Ñ"), done.stderr


def test_run_when_a_child_complains_and_ends_well_then_that_is_no_failure() -> None:
    done = run(["sh", "-c", "echo /dev/sdb: open failed: No medium found >&2; echo fine"])
    assert (done.returncode, done.stdout) == (0, "fine\n")


def test_run_when_a_child_prints_without_an_end_then_it_is_stopped_before_it_fills_our_memory() -> (
    None
):
    for stream in (1, 2):
        with pytest.raises(CommandFailed, match="sh printed more than 67108864 bytes"):
            run(["sh", "-c", f"exec yes >&{stream}"], check=False)


def test_run_when_input_and_output_are_longer_than_a_pipe_holds_then_both_are_whole() -> None:
    text = "".join(f"línea {number}\r\n" for number in range(100_000))
    assert run(["cat"], input_text=text).stdout == text.replace("\r\n", "\n")
    assert run(["true"], input_text=text).stdout == ""


def test_run_when_a_grandchild_keeps_the_output_open_then_the_limit_holds_all_the_same() -> None:
    with pytest.raises(CommandTimedOut):
        run(["sh", "-c", "sleep 30 & echo done"], timeout_s=1)


def test_pinned_when_lvm_is_asked_then_every_setting_of_its_output_is_said() -> None:
    argv = pinned(["vgs", "-o", "vg_tags"])
    assert argv[:-1] == ["lvm", "vgs", "-o", "vg_tags", "--config"]
    assert all(f"{name}={value}" in argv[-1] for name, value in PINNED.items())
