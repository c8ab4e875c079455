"""The server's own code, ready to be asked what it has. No server runs, and no file is made."""

from __future__ import annotations

import os
import tempfile
from functools import cache


@cache
def set_up() -> None:
    """Load Django with our settings; a second call does nothing."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pizarra.server.project.settings")
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("PIZARRA_SERVER_FOLDER", folder)
        import django

        django.setup()
