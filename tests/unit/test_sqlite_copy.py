"""A copy of a database that somebody writes to is of one moment."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from pizarra.errors import CommandFailed
from pizarra.system.process import transfer
from pizarra.system.tree_copies import new_file


def copy(source: Path, folder: Path, name: str) -> Path:
    argv = [sys.executable, "-P", "-m", "pizarra.system.sqlite_copy", str(source)]
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with new_file(fd, name) as target:
            transfer(argv, user=(os.geteuid(), os.getegid()), target=target)
    finally:
        os.close(fd)
    return folder / name


def test_copy_when_somebody_writes_then_no_transaction_is_half_in_it(tmp_path: Path) -> None:
    source, stop = tmp_path / "source.sqlite", threading.Event()
    with closing(sqlite3.connect(source)) as made:
        made.executescript("PRAGMA journal_mode=WAL; CREATE TABLE one(n); CREATE TABLE two(n);")

    def write() -> None:
        with closing(sqlite3.connect(source, timeout=60)) as writer:
            number = 0
            while not stop.is_set():
                number += 1
                with writer:
                    writer.execute("INSERT INTO one VALUES (?)", (number,))
                    writer.execute("INSERT INTO two VALUES (?)", (number,))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        copies = [copy(source, tmp_path, f"copy-{number}") for number in range(3)]
    finally:
        stop.set()
        thread.join()
    for path in copies:
        with closing(sqlite3.connect(path)) as copied:
            ones = copied.execute("SELECT count(*), max(n) FROM one").fetchone()
            assert ones == copied.execute("SELECT count(*), max(n) FROM two").fetchone()
            assert copied.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("content", [None, b"no database" * 1000])
def test_copy_when_there_is_no_database_then_it_is_said(
    tmp_path: Path, content: bytes | None
) -> None:
    source = tmp_path / "source.sqlite"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(CommandFailed):
        copy(source, tmp_path, "copy")
    assert source.exists() is (content is not None)
