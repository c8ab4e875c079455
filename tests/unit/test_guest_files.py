"""Copying out of a guest's tree: nothing that lies in it leads out of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pizarra.errors import AlreadyExists, BadInput, NotFound
from pizarra.system.guest_files import copy_out


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    """A student's tree, with all that they would try."""
    root = tmp_path / "guest"
    home = root / "home" / "ana"
    home.mkdir(parents=True)
    (home / "report.txt").write_text("what I did")
    (home / "work").mkdir()
    (home / "work" / "a").write_text("a")
    (home / "work" / "shadow").symlink_to("/etc/shadow")
    (home / "work" / "up").symlink_to("../../../..")
    os.mkfifo(home / "work" / "pipe")
    (root / "away").symlink_to("/etc")
    (root / "near").symlink_to("home")
    return root


def test_copied_out_when_a_file_then_is_there_with_its_time(guest: Path, tmp_path: Path) -> None:
    source = guest / "home" / "ana" / "report.txt"
    os.utime(source, (10**9, 10**9))
    copied = copy_out(guest, "/home/ana/report.txt", tmp_path)
    target = tmp_path / "report.txt"
    assert (copied.files, copied.size_bytes, copied.left_out) == (1, 10, [])
    assert (target.read_text(), target.stat().st_mtime) == ("what I did", 10**9)


def test_copied_out_when_a_folder_then_plain_files_only_and_the_rest_is_told(
    guest: Path, tmp_path: Path
) -> None:
    copied = copy_out(guest, "home/ana", tmp_path)
    found = sorted(
        str(path.relative_to(tmp_path / "ana")) for path in (tmp_path / "ana").rglob("*")
    )
    assert found == ["report.txt", "work", "work/a"]
    assert copied.files == 2
    assert copied.left_out == [
        "home/ana/work/pipe: neither a file nor a folder",
        "home/ana/work/shadow: a link",
        "home/ana/work/up: a link",
    ]


@pytest.mark.parametrize(
    "path",
    ["/away/shadow", "/away", "/near/ana/report.txt", "home/ana/work/up/etc/shadow"],
)
def test_copied_out_when_the_path_goes_over_a_link_then_is_refused(
    guest: Path, tmp_path: Path, path: str
) -> None:
    to = tmp_path / "to"
    to.mkdir()
    with pytest.raises(BadInput):
        copy_out(guest, path, to)
    assert list(to.iterdir()) == []


@pytest.mark.parametrize("path", ["../secret", "/home/../../secret"])
def test_copied_out_when_the_path_leads_upwards_then_is_refused(
    guest: Path, tmp_path: Path, path: str
) -> None:
    (tmp_path / "secret").write_text("x")
    with pytest.raises(BadInput):
        copy_out(guest, path, guest)


@pytest.mark.parametrize("path", ["/nothing", "/home/ana/report.txt/deeper", "/no/such/place"])
def test_copied_out_when_it_is_not_there_then_says_so(
    guest: Path, tmp_path: Path, path: str
) -> None:
    with pytest.raises(NotFound):
        copy_out(guest, path, tmp_path)


def test_copied_out_when_the_target_has_that_name_then_it_is_not_overwritten(
    guest: Path, tmp_path: Path
) -> None:
    (tmp_path / "report.txt").symlink_to(guest / "home" / "ana" / "work" / "a")
    with pytest.raises(AlreadyExists):
        copy_out(guest, "/home/ana/report.txt", tmp_path)
    assert (guest / "home" / "ana" / "work" / "a").read_text() == "a"


def test_copied_out_when_all_of_it_then_is_a_folder_of_its_own(guest: Path, tmp_path: Path) -> None:
    assert copy_out(guest, "/", tmp_path).files == 2
    assert (tmp_path / "disk" / "home" / "ana" / "report.txt").exists()


def test_copied_out_when_a_file_is_a_large_hole_then_stays_one(guest: Path, tmp_path: Path) -> None:
    with (guest / "hole").open("wb") as file:
        file.truncate(1 << 40)
        file.seek(1 << 39)
        file.write(b"middle")
    copied = copy_out(guest, "/hole", tmp_path)
    with (tmp_path / "hole").open("rb") as file:
        file.seek(1 << 39)
        assert file.read(6) == b"middle"
    assert (tmp_path / "hole").stat().st_size == 1 << 40
    assert copied.size_bytes < 1 << 20


def test_copied_out_when_a_name_commands_a_terminal_then_is_told_harmlessly(
    guest: Path, tmp_path: Path
) -> None:
    (guest / "home" / "\x1b[2J\udcff").symlink_to("x")
    copied = copy_out(guest, "/home", tmp_path)
    assert r"home/\x1b[2J\udcff: a link" in [line.removeprefix("/") for line in copied.left_out]
