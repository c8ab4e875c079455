"""The dashboard over LVM: the worker is killed in the middle of a teacher's reset."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.sizes import MIB
from pizarra.service import classrooms, templates, verbs
from pizarra.service.context import Context
from tests.contract.storage_lvm import VG, direct_write

_CHROMIUM = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
             "--single-process"]  # fmt: skip
_PATIENCE_MS = 900_000  # a browser in an emulated machine
_LISTEN = "127.0.0.1:8077"


@contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `pizarra serve`; yields its process and the first password, which it prints once."""
    given = {"PIZARRA_SERVER_FOLDER": str(folder), "PIZARRA_SERVER_LISTEN": _LISTEN,
             "PIZARRA_SERVER_USER": "root", "PIZARRA_VG": VG}  # fmt: skip
    command = [sys.executable, "-m", "pizarra", "serve", "--json"]
    server = subprocess.Popen(
        command, env=os.environ | given, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert server.stdout
        text = ""
        for line in server.stdout:
            text += line
            if line.rstrip() == "}":
                break
        yield server, json.loads(text)["password"] or ""
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(120)


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path="/usr/bin/chromium", args=_CHROMIUM, timeout=_PATIENCE_MS
        )
        found = browser.new_context(locale="es-ES").new_page()
        found.set_default_timeout(_PATIENCE_MS)
        yield found
        browser.close()


def test_reset_when_the_worker_is_killed_in_it_then_the_next_ends_it_and_the_page_tells_the_truth(
    lab: Context, bootsector: Path, tmp_path: Path, page: Page
) -> None:
    templates.import_template(lab, "boot", templates.source_of_file(bootsector))
    spec = ClassroomSpec(name="net", template="boot", seats=3, memory_bytes=16 * MIB, vcpus=1,
                         network="none")  # fmt: skip
    classrooms.create(lab, spec)
    for seat in lab.host.observe().classroom("net").seats:
        direct_write(seat.volumes[0].path, MIB, b"a student was here".ljust(4096, b"!"))
    verbs.start(lab, "net")
    with serving(tmp_path) as (server, password):
        page.goto(f"http://{_LISTEN}/")
        page.fill("#id_username", "technician")
        page.fill("#id_password", password)
        page.click("button.strong")
        page.wait_for_url(f"http://{_LISTEN}/")
        page.goto(f"http://{_LISTEN}/classrooms/net/")
        expect(page.locator("[data-number='3']")).to_contain_text("en uso", timeout=_PATIENCE_MS)
        page.click("#reset")
        expect(page.locator("#sheet-title")).to_contain_text(
            "¿Devolver 3 máquinas", timeout=_PATIENCE_MS
        )
        page.click("#sheet-yes")
        expect(page.locator("#strip")).to_be_visible(timeout=_PATIENCE_MS)
        os.killpg(server.pid, signal.SIGKILL)
    with serving(tmp_path) as (_, password):
        assert not password, "it was told once"
        expect(page.locator("#strip")).to_contain_text("3 de 3 originales", timeout=_PATIENCE_MS)
        expect(page.locator("[data-number='3']")).to_contain_text("original", timeout=_PATIENCE_MS)
        page.screenshot(path=Path(os.environ.get("LAB_OUT", str(tmp_path))) / "wall.png")
    assert verbs.verify(lab, "net", deep=False).seats
    report = verbs.reset(lab, "net")
    assert report.exit_status == 0
