"""Tells systemd how far a service is. Source: sd_notify(3), "Standalone Implementations"."""

from __future__ import annotations

import os
import socket


def tell_systemd(state: str) -> None:
    """Send a state, such as ``READY=1``. Does nothing where no systemd asked for it."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.connect("\0" + path[1:] if path.startswith("@") else path)
        notify.sendall(state.encode())
