"""Makes docs/screenshots anew: ``python -m tools.site.screenshots``. As root; needs Chromium.

The pages are those of ``pizarra serve --demonstration 30``, in English and in Spanish. Sphinx shows
``wall.es.png`` in the place of ``wall.png`` on a Spanish page.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
_STUDENTS = [
    *("Ana Ruiz", "Luis Vega", "Eva Soto", "Leo Díaz", "Iris Gil", "Pau Mas"),
    *("Noa Rey", "Hugo Sanz", "Zoe Prat", "Iván Cano", "Lía Mora", "Álex Roca"),
    *("Sara Polo", "Marc Font", "Olga Nieto", "Raúl Peña", "Vera Lara", "Bruno Sáez"),
    *("Clara Vidal", "Dani Ramos", "Elsa Prieto", "Fran Ortiz", "Gala Núñez", "Inés Bravo"),
    *("Jon Etxebarria", "Kira Luna", "Mario Gallego", "Nora Ibáñez", "Óscar Serra", "Paula Tena"),
]
_SIZE = {"width": 1366, "height": 768}
_COLOURS = 200  # enough for flat pages; a picture is a third of its size then
_PORT = 8799


@contextmanager
def demonstration() -> Iterator[tuple[str, str]]:
    """Serve thirty seats in memory; gives the address and the technician's password."""
    with tempfile.TemporaryDirectory() as folder:
        given = {f"PIZARRA_{name}_FOLDER": f"{folder}/{name.lower()}"
                 for name in ("SERVER", "STATE", "RUN")}  # fmt: skip
        given |= {"PIZARRA_SERVER_LISTEN": f"127.0.0.1:{_PORT}", "PIZARRA_SERVER_USER": "root"}
        command = [sys.executable, "-m", "pizarra", "serve", "--demonstration", "30", "--json"]
        server = subprocess.Popen(
            command,
            env=os.environ | given,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            assert server.stdout
            said = "".join(iter(server.stdout.readline, "}\n")) + "}"
            told = json.loads(said)
            yield told["url"], told["password"]
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()


def sign_in(browser: Browser, url: str, locale: str, who: str, password: str) -> Page:
    """A window of somebody."""
    window = browser.new_context(viewport=_SIZE, locale=locale, color_scheme="light")  # type: ignore[arg-type]
    page = window.new_page()
    page.set_default_timeout(120_000)
    page.goto(url)
    page.fill("#id_username", who)
    page.fill("#id_password", password)
    page.click("button.strong")
    page.wait_for_url(url)
    return page


def save(page: Page, name: str, language: str) -> None:
    """Write a picture with few colours."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    ending = "" if language == "en" else f".{language}"
    small = picture.quantize(_COLOURS, dither=Image.Dither.NONE)
    small.save(FOLDER / f"{name}{ending}.png", optimize=True)


def await_wall(page: Page, url: str) -> None:
    """Open the wall, and wait until every tile in view has its picture."""
    page.goto(f"{url}classrooms/net/")
    page.locator(".tile img.screen:visible").nth(26).wait_for()
    page.wait_for_timeout(3000)  # the last of them are drawn


def make_pictures(browser: Browser, url: str, password: str, language: str, locale: str) -> None:
    """All pictures of one language, of a server that nobody has used."""
    page = sign_in(browser, url, locale, "technician", password)
    page.goto(f"{url}classrooms/net/people/")
    page.click("button[value=code]")
    lines = [f"{n},student{n},{name}" for n, name in enumerate(_STUDENTS, start=1)]
    page.fill("#csv", "\n".join(lines))
    page.click("button[value=preview]")
    page.click("button[value=apply]")
    student = page.locator("tbody code").first.inner_text()
    await_wall(page, url)
    save(page, "wall", language)
    page.emulate_media(color_scheme="dark")
    save(page, "wall-dark", language)
    page.emulate_media(color_scheme="light")
    page.click("#reset")
    page.wait_for_selector("#sheet[open]")
    save(page, "reset", language)
    page.click("#sheet-yes")
    page.mouse.move(0, 0)  # a tile under it would show its buttons
    page.wait_for_selector("#strip button")
    page.wait_for_timeout(4000)  # the tiles are asked for again
    save(page, "result", language)
    for name, address in {"home": "", "people": "classrooms/net/people/",
                          "classroom-new": "classrooms/new/"}.items():  # fmt: skip
        page.goto(url + address)
        save(page, name, language)
    save(sign_in(browser, url, locale, "student1", student), "my-machine", language)


def main() -> None:
    """Make all of them."""
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        for language, locale in {"en": "en-GB", "es": "es-ES"}.items():
            with demonstration() as (url, password):
                make_pictures(browser, url, password, language, locale)
        browser.close()


if __name__ == "__main__":
    main()
