"""``--server`` and ``--token``: whether a command is for this host or for a server elsewhere."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pizarra.errors import BadInput

if TYPE_CHECKING:
    from pizarra.cli.remote import Server

SERVER, TOKEN = "PIZARRA_SERVER", "PIZARRA_TOKEN"  # variables of the environment


def server_from_options() -> Server | None:
    """The server that --server or PIZARRA_SERVER names."""
    url = os.environ.get(SERVER, "")
    if not url:
        return None
    from pizarra.cli.remote import Server  # it imports all that HTTP needs

    return Server(url, os.environ.get(TOKEN, ""))


def only_here() -> None:
    """For commands that no server answers: never done to this host instead. Raises BadInput."""
    if os.environ.get(SERVER):
        raise BadInput(
            "This command is for the host itself.",
            "Run it there, without --server (or the variable {name}).",
            name=SERVER,
        )


def without_token(argv: Sequence[str]) -> list[str]:
    """What was typed, for the flight record: no secret is in it."""
    shown = [re.sub(r"^--token=.*", "--token=…", word) for word in argv]
    return ["…" if shown[n - 1 : n] == ["--token"] else word for n, word in enumerate(shown)]
