"""Prepare the database: its tables and the first technician.

This is a process of its own with the user of the pages, because nobody else writes the database.
"""

from __future__ import annotations

import os
import sys

from pizarra.errors import HostNotFit

FIRST_PASSWORD = "PIZARRA_FIRST_PASSWORD"
HAD_TECHNICIAN = 10  # our exit status when there was a technician before


def main() -> int:
    """0 when the first technician was made, with the password of the environment."""
    import django
    from django.core.management import call_command

    django.setup()
    from pizarra.server.people.models import Role, User
    from pizarra.server.project.database import check_encoding

    call_command("migrate", verbosity=0)
    try:
        check_encoding()
    except HostNotFit as error:
        sys.stderr.write(f"pizarra: {error}\n  {error.advice}\n")
        return error.exit_status
    if User.objects.filter(role=Role.TECHNICIAN).exists():
        return HAD_TECHNICIAN
    password = os.environ[FIRST_PASSWORD]
    User.objects.create_user("technician", password=password, role=Role.TECHNICIAN)
    return 0


if __name__ == "__main__":
    sys.exit(main())
