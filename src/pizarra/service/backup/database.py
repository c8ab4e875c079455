"""The database of the server: copied while others write to it, and put back whole or not at all.

Root opens no database and speaks with no database server. The user of the pages does, in a process
of its own that reads and writes files which root has opened.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from pizarra.errors import CommandFailed, HostNotFit, StorageFault
from pizarra.service.backup.manifest import SERVER, SQL, SQLITE
from pizarra.settings import Settings
from pizarra.system.own_folder import names_in, opening_folder
from pizarra.system.process import transfer
from pizarra.system.system_user import make_system_user
from pizarra.system.tree_copies import Copied, copy_file, entry_of, new_file

Database = Literal["none", "sqlite", "postgresql"]
_KEYS = ("secret-key", "self-signed.crt", "self-signed.key")
_KEY_BYTES_MAX = 1024 * 1024
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# all tables of before go in the transaction that brings the others; who holds one is not waited for
_EMPTY = """
SET lock_timeout = '10s';
SET client_min_messages = warning;
DO $$ DECLARE one text; BEGIN
  FOR one IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
             WHERE schemaname = current_schema()
  LOOP EXECUTE 'DROP TABLE ' || one || ' CASCADE'; END LOOP;
END $$;
"""
_COUNT = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"


def copy_server(settings: Settings, to: int) -> tuple[Database, list[Copied]]:
    """Copy the database and the keys of the server to the open folder ``to``.

    Raises StorageFault, HostNotFit, OSError.
    """
    pages = settings.pages_folder
    copied, has_pages = list[Copied](), pages.is_dir()
    if not has_pages and (settings.server_folder / SQLITE).exists():
        raise HostNotFit(
            "The folder of the server, {path}, is as an older version made it.",
            "Start the server once: systemctl start pizarra",
            path=settings.server_folder,
        )
    names = set[str]()
    if has_pages:
        with opening_folder(pages) as folder:
            names = {*names_in(folder)}
            copied += [_copy_key(folder, name, to) for name in _KEYS if name in names]
    if settings.database.get_secret_value():
        copied.append(dump_to(settings, to, SQL))
        return "postgresql", copied
    if SQLITE not in names:
        return "none", copied
    copied.append(_copy_sqlite(pages, to))
    return "sqlite", copied


def _copy_key(folder: int, name: str, to: int) -> Copied:
    """A small file of the pages' own: a link to somebody else's has another owner."""
    fd = os.open(name, _READ, dir_fd=folder)
    try:
        seen = os.fstat(fd)
        if seen.st_uid != os.fstat(folder).st_uid or seen.st_size > _KEY_BYTES_MAX:
            raise StorageFault(
                "The file {name} of the pages is not theirs.", "See: ls -la", name=name
            )
        return copy_file(fd, to, name, f"{SERVER}/{name}")
    finally:
        os.close(fd)


def _copy_sqlite(pages: Path, to: int) -> Copied:
    seen = pages.stat()
    argv = [sys.executable, "-P", "-m", "pizarra.system.sqlite_copy", str(pages / SQLITE)]
    with new_file(to, SQLITE) as fd:
        try:
            transfer(argv, user=(seen.st_uid, seen.st_gid), target=fd)
        except CommandFailed as error:
            raise _refused(error) from None
        return entry_of(fd, f"{SERVER}/{SQLITE}")


def dump_to(settings: Settings, to: int, name: str) -> Copied:
    """What the PostgreSQL database has, in a new file in an open folder. Raises StorageFault."""
    with new_file(to, name) as fd:
        options = ["--no-owner", "--no-privileges", "--format=plain", "--encoding=UTF8"]
        _ask(settings, ["pg_dump", *options], target=fd)
        return entry_of(fd, f"{SERVER}/{name}")


def has_tables(settings: Settings) -> bool:
    """Whether the PostgreSQL database has anything. Raises StorageFault, HostNotFit."""
    return _psql(settings, ["--no-align", "--tuples-only", f"--command={_COUNT}"]).strip() != "0"


def load_dump(settings: Settings, folder: int) -> None:
    """The PostgreSQL database has what was dumped to an open folder, and nothing else; or it stays
    as it is. Raises StorageFault, HostNotFit."""
    fd = os.open(SQL, _READ, dir_fd=folder)
    try:
        options = ["--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"]
        _psql(settings, [*options, f"--command={_EMPTY}", "--file=-"], source=fd)
    finally:
        os.close(fd)


def _psql(settings: Settings, argv: list[str], **files: int) -> str:
    return _ask(settings, ["psql", "--no-psqlrc", *argv], **files)


def _ask(settings: Settings, argv: list[str], **files: int) -> str:
    """As the user of the pages, whom PostgreSQL knows; the password is in no list of processes."""
    url = urlsplit(settings.database.get_secret_value())
    user, at, place = url.netloc.rpartition("@")
    name, _, password = user.partition(":")
    without = urlunsplit(url._replace(netloc=f"{name}{at}{place}"))
    known = make_system_user(settings.server_user, settings.pages_folder)
    variables = {"PGPASSWORD": unquote(password), "PGCONNECT_TIMEOUT": "30"}
    try:
        return transfer(
            [*argv, "--no-password", f"--dbname={without}"],
            user=(known.pw_uid, known.pw_gid),
            variables={key: value for key, value in variables.items() if value},
            **files,
        )
    except HostNotFit:
        raise HostNotFit(
            "The command {command} is not installed.",
            "Install it: apt-get install postgresql-client",
            command=argv[0],
        ) from None
    except CommandFailed as error:
        raise _refused(error) from None


def _refused(error: CommandFailed) -> StorageFault:
    return StorageFault(
        "The server's database refused: {why}",
        "See the setting database; a PostgreSQL database is made with: createdb",
        why=str(error.facts.get("stderr", error)).strip()[-500:],
    )
