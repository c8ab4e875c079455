"""The key that signs sessions and tickets, and the key of our own TLS.

The user of the pages makes both once, in the folder of the pages."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path

from pizarra.system.process import run

NAME = "secret-key"


def secret_key(folder: Path) -> str:
    """The key that ``serve`` made; without that, a key for this process alone."""
    try:
        return (folder / NAME).read_text("ascii").strip() or secrets.token_urlsafe(50)
    except (OSError, UnicodeDecodeError):
        return secrets.token_urlsafe(50)


def make_secret_key(folder: Path) -> None:
    """Make the key, unless it exists; whole or not at all, as a full disk leaves a file empty.
    Raises OSError."""
    path, new = folder / NAME, folder / f".{NAME}.new"
    if path.exists() and path.stat().st_size:
        return
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(50) + "\n")
    new.replace(path)


def tls_files(folder: Path) -> tuple[str, str]:
    """The files of our self-signed certificate and its key."""
    return str(folder / "self-signed.crt"), str(folder / "self-signed.key")


def make_tls(folder: Path, names: Sequence[str]) -> None:
    """Make the certificate, unless it exists. ``names`` are added to the names of this machine."""
    certificate, key = tls_files(folder)
    if Path(certificate).exists():
        return
    known = dict.fromkeys(("localhost", socket.gethostname(), *names))
    told = ",".join(["IP:127.0.0.1", *(f"DNS:{name}" for name in known if name != "*")])
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-noenc", "-days", "825", "-subj", "/CN=Pizarra", "-addext", f"subjectAltName={told}",
         "-keyout", key, "-out", certificate])  # fmt: skip
