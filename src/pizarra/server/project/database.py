"""The database, by one setting: SQLite when the setting is empty, else postgresql://…"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pizarra.errors import BadInput, HostNotFit


def database(url: str, folder: Path) -> dict[str, Any]:
    """An entry of Django's DATABASES. Raises BadInput, without the URL, which has a password."""
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": folder / "server.sqlite",
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",  # a read that becomes a write would fail at once
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise BadInput(
            "The setting database is no address of a PostgreSQL database.",
            "Write postgresql://USER:PASSWORD@HOST/NAME, or leave it out for SQLite.",
        )
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", "") or parts.hostname or "",
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 60,
        "OPTIONS": query,
    }


def check_encoding() -> None:
    """Check that a PostgreSQL database is in UTF-8. Without a locale it counts an accent as two
    letters.

    Raises HostNotFit.
    """
    from django.db import connection

    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_encoding")
        (encoding,) = cursor.fetchone()
    if encoding != "UTF8":
        raise HostNotFit(
            "The database is in {encoding}, and names have accents.",
            "Make one in UTF-8: createdb -E UTF8 --locale=C.UTF-8 -T template0 NAME",
            encoding=encoding,
        )


def migrate() -> None:
    """Bring the tables to this version.

    A database of an older version in SQLite is migrated as a copy. So it is as it was when a
    migration fails, and afterwards it stays beside the new one for a return to that version.
    """
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    loader = (executor := MigrationExecutor(connection)).loader
    is_older = executor.migration_plan(loader.graph.leaf_nodes()) and loader.applied_migrations
    if not is_older or connection.vendor != "sqlite":
        call_command("migrate", verbosity=0)
        return
    path = Path(connection.settings_dict["NAME"])
    new, before = path.with_name(f"{path.name}.new"), path.with_name(f"{path.name}.before")
    for end in ("", "-wal", "-shm"):  # of a migration that failed
        new.with_name(new.name + end).unlink(missing_ok=True)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(new)])
    connection.close()  # what is in the journals goes into the files
    connection.settings_dict["NAME"] = new
    try:
        call_command("migrate", verbosity=0)
    finally:
        connection.close()
        connection.settings_dict["NAME"] = path
    before.unlink(missing_ok=True)
    os.link(path, before)
    new.replace(path)
