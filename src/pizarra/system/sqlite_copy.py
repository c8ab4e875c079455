"""A program of its own: print a consistent copy of an SQLite database that others write to.

It runs as the owner of the database: whoever could write a hostile one gets no more than that.
Source: https://www.sqlite.org/backup.html
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

_BUSY_S = 60.0


def print_copy(path: Path) -> None:
    """Print it, as a file without a journal beside it. Raises sqlite3.Error."""
    source = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=_BUSY_S)
    with closing(source), closing(sqlite3.connect(":memory:")) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
        (said,) = copy.execute("PRAGMA quick_check").fetchone()
        if said != "ok":
            raise sqlite3.DatabaseError(f"the database is damaged: {said}")
        sys.stdout.buffer.write(copy.serialize())


if __name__ == "__main__":
    try:
        print_copy(Path(sys.argv[1]))
    except sqlite3.Error as error:
        sys.exit(f"{error}")
