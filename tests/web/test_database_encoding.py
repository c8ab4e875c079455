"""A PostgreSQL database that cannot hold an accent as one letter is refused."""

from __future__ import annotations

import os
import subprocess
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection

from pizarra.errors import HostNotFit
from pizarra.server.project.database import encoding_checked
from pizarra.settings import settings_read


@pytest.mark.django_db
def test_encoding_when_the_database_is_as_it_should_be_then_fine() -> None:
    encoding_checked()


@pytest.mark.skipif(
    not os.environ.get("PIZARRA_DATABASE"), reason="tools/with-postgresql runs it with one"
)
@pytest.mark.django_db
def test_encoding_when_made_without_a_locale_then_is_refused_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = settings_read().database.get_secret_value()
    folder = parse_qs(urlsplit(url).query)["host"][0]
    as_them = ["runuser", "-u", "postgres", "--"]
    made = ["createdb", "-h", folder, "-E", "SQL_ASCII", "--locale=C", "-T", "template0", "bytes"]
    subprocess.run([*as_them, *made], check=True)
    other = connection.copy()
    other.settings_dict = other.settings_dict | {"NAME": "bytes"}
    monkeypatch.setattr("django.db.connection", other)
    try:
        with pytest.raises(HostNotFit, match="in SQL_ASCII"):
            encoding_checked()
    finally:
        other.close()
        subprocess.run([*as_them, "dropdb", "-h", folder, "bytes"], check=True)
