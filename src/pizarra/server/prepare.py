"""Prepare the folder of the pages: keys, the database's tables, and a first technician if asked.

This is a process of its own with the user of the pages, because nobody else writes in that folder.
"""

from __future__ import annotations

import os
import sys

from pizarra.errors import HostNotFit
from pizarra.server.project.secret import make_secret_key, make_tls
from pizarra.settings import read_settings

FIRST_PASSWORD = "PIZARRA_FIRST_PASSWORD"
HAD_TECHNICIAN = 10  # our exit status when there was a technician before


def main() -> int:
    """0 when there was no technician before. With a password in the environment there is one now;
    else the page of the first visit makes one."""
    _make_keys()
    import django

    django.setup()
    from pizarra.server.jobs.restored import end_what_was_open
    from pizarra.server.people.models import Role, User
    from pizarra.server.project.database import check_encoding, migrate

    migrate()
    try:
        check_encoding()
    except HostNotFit as error:
        sys.stderr.write(f"pizarra: {error}\n  {error.advice}\n")
        return error.exit_status
    end_what_was_open(read_settings().pages_folder)
    if User.objects.filter(role=Role.TECHNICIAN).exists():
        return HAD_TECHNICIAN
    if password := os.environ.get(FIRST_PASSWORD):
        User.objects.create_user("technician", password=password, role=Role.TECHNICIAN)
    return 0


def _make_keys() -> None:
    settings = read_settings()
    folder = settings.pages_folder
    (folder / "static").mkdir(exist_ok=True)
    make_secret_key(folder)
    if settings.server_self_signed:
        make_tls(folder, settings.server_names)


if __name__ == "__main__":
    sys.exit(main())
