"""Pizarra refuses a PostgreSQL database that cannot hold an accent as one letter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools/with-postgresql"
# a server with two databases; the second is made as on a host without a locale
CHECK = """
import os, subprocess, django
from pizarra.errors import HostNotFit
url, name = os.environ["PIZARRA_DATABASE"], "as_{encoding}"
folder = url.partition("host=")[2]
made = ["-E", "{encoding}", "--locale=C", "-T", "template0", name]
subprocess.run(["runuser", "-u", "postgres", "--", "createdb", "-h", folder, *made], check=True)
os.environ["PIZARRA_DATABASE"] = url.replace("/pizarra?", f"/{{name}}?")
os.environ["DJANGO_SETTINGS_MODULE"] = "pizarra.server.project.settings"
django.setup()
from pizarra.server.project.database import check_encoding
try:
    check_encoding()
except HostNotFit as error:
    print(error)
else:
    print("fine")
"""


@pytest.mark.parametrize(
    ("encoding", "says"),
    [("UTF8", "fine"), ("SQL_ASCII", "The database is in SQL_ASCII, and names have accents.")],
)
def test_encoding_when_a_database_was_made_so_then_fine_or_refused(
    encoding: str, says: str
) -> None:
    argv = [str(TOOL), sys.executable, "-c", CHECK.format(encoding=encoding)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == says, done.stderr
