"""`PIZARRA_SERVER_SELF_SIGNED`: pages by TLS, with a certificate that the server makes."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

from pizarra.server.project.secret import make_tls, tls_files

_LIMIT_S = 60.0


def test_server_when_self_signed_then_speaks_tls_and_its_cookies_go_no_other_way(
    tmp_path: Path,
) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    make_tls(pages, ["pizarra.school"])
    certificate, key = map(Path, tls_files(pages))
    assert key.stat().st_mode & 0o077 == 0
    before = certificate.read_bytes()
    make_tls(pages, [])
    assert certificate.read_bytes() == before
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {
        "PIZARRA_SERVER_FOLDER": str(tmp_path),
        "PIZARRA_SERVER_LISTEN": f"127.0.0.1:{port}",
        "PIZARRA_SERVER_SELF_SIGNED": "true",
        "PIZARRA_DATABASE": "",  # one of its own, which is new
        "DJANGO_SETTINGS_MODULE": "pizarra.server.project.settings",
    }
    subprocess.run(
        [sys.executable, "-m", "pizarra.server.prepare"], env=os.environ | given, check=True
    )
    web = subprocess.Popen([sys.executable, "-m", "pizarra.server.web"], env=os.environ | given)
    try:
        told = headers(f"https://127.0.0.1:{port}/sign-in/", certificate)
        assert "Secure" in told["Set-Cookie"]
        assert told["Strict-Transport-Security"] is None
    finally:
        web.terminate()
        web.wait(_LIMIT_S)


def headers(url: str, certificate: Path) -> Message:
    """Fetch a page with a client that trusts only this certificate."""
    trust, deadline = ssl.create_default_context(cafile=certificate), time.monotonic() + _LIMIT_S
    while True:
        try:
            with urllib.request.urlopen(url, context=trust) as answer:
                found: Message = answer.headers
        except urllib.error.URLError as error:
            assert not isinstance(error.reason, ssl.SSLError), error
            assert time.monotonic() < deadline, error
            time.sleep(0.2)
        else:
            return found
