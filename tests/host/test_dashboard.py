"""The dashboard in a real browser over real machines: a lesson of a teacher and a student."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright

_CHROMIUM = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
_PATIENCE_MS = 120_000
_PORT = 8765
# how many points of the screen are lit: hundreds for a line of text, few for a cursor
_LIT = """() => {
    const canvas = document.querySelector('#screen canvas');
    const points = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    let lit = 0;
    for (let n = 0; n < points.length; n += 4) if (points[n] > 90) lit += 1;
    return lit;
}"""
_IMAGE = "build/guests/bootsector.img"


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The address of the dashboard, and the passwords of its people."""

    url: str
    passwords: dict[str, str]
    code: str
    browser: Browser

    def sign_in(self, who: str, locale: str) -> Page:
        page = self.browser.new_context(locale=locale).new_page()
        page.set_default_timeout(_PATIENCE_MS)
        page.goto(self.url)
        page.fill("#id_username", who)
        page.fill("#id_password", self.passwords[who])
        page.click("button.strong")
        page.wait_for_url(self.url)
        return page


@pytest.fixture(scope="module")
def dashboard() -> Iterator[Dashboard]:
    """`make demo SERVE=1`, with the boot-sector guest."""
    given = {"DEMO_IMAGE": _IMAGE, "DEMO_MEMORY_MIB": "16",
             "PIZARRA_SERVER_LISTEN": f"127.0.0.1:{_PORT}"}  # fmt: skip
    demo = subprocess.Popen(
        [sys.executable, "-m", "demo.dashboard"],
        env=os.environ | given,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout
    said = ""
    try:
        for line in demo.stdout:
            said += line
            if "the dashboard:" in line:
                break
        found = re.search(r"the dashboard: (\S+)", said)
        assert found, said
        passwords = dict(re.findall(r"(\w+) / (\S+)", said))
        code = re.search(r"class code (\S+)", said)
        assert code
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=_CHROMIUM)
            yield Dashboard(found[1], passwords, code[1], browser)
            browser.close()
    finally:
        demo.terminate()
        demo.wait(60)


def reset_and_look(page: Page, words: dict[str, str]) -> None:
    page.click("#reset")
    expect(page.locator("#sheet-title")).to_contain_text(words["ask"])
    expect(page.locator("#sheet")).to_contain_text(words["lately"])
    page.click("#sheet-yes")
    expect(page.locator("#strip")).to_contain_text(words["result"], timeout=_PATIENCE_MS)


def test_lesson_when_held_then_work_is_seen_reset_undone_and_reset_by_the_student(
    dashboard: Dashboard,
) -> None:
    leo = dashboard.sign_in("leo", "en-GB")
    leo.fill("#code", dashboard.code.lower())
    leo.click("text=Take a seat")
    leo.wait_for_selector("#screen[data-connected]")
    before = leo.locator("#screen canvas").screenshot()
    leo.locator("#screen canvas").click()
    leo.keyboard.press("Enter")
    leo.wait_for_function("document.querySelector('#screen canvas').width > 100")
    expect_change(leo, before)

    ada = dashboard.sign_in("ada", "es-ES")
    ada.click("text=Networks 1")
    tile = ada.locator("[data-number='2']")
    expect(tile).to_contain_text("leo", timeout=_PATIENCE_MS)
    expect(tile).to_contain_text("en uso", timeout=_PATIENCE_MS)
    lately = "Con actividad en los últimos diez minutos: leo."
    result = "4 de 4 originales"
    reset_and_look(ada, {"ask": "¿Devolver 4 máquinas", "lately": lately, "result": result})
    ada.click("#strip >> text=Deshacer")
    expect(ada.locator("#strip")).to_contain_text("4 de 4 hechas", timeout=_PATIENCE_MS)

    expect(ada.locator("#freeze")).to_have_text("Atención aquí", timeout=_PATIENCE_MS)
    expect(tile).to_contain_text("en uso", timeout=_PATIENCE_MS)
    ada.wait_for_timeout(2500)  # the wall looks again
    ada.click("#freeze")
    ada.fill("#eyes-message", "Mirad la pizarra")
    ada.click("#sheet-yes")
    expect(leo.locator("#eyes")).to_have_text("Mirad la pizarra", timeout=_PATIENCE_MS)
    expect(ada.locator("#freeze")).to_have_text("Continuar", timeout=_PATIENCE_MS)
    ada.click("#freeze")
    expect(leo.locator("#eyes")).to_be_hidden(timeout=_PATIENCE_MS)

    leo.on("dialog", lambda dialog: dialog.accept())
    leo.click("#keep")
    expect(leo.locator("#told")).to_contain_text("Done", timeout=_PATIENCE_MS)
    expect(leo.locator("#kept")).to_be_visible(timeout=_PATIENCE_MS)
    leo.select_option("#kept", index=1)
    expect(leo.locator("#told")).to_contain_text("Going back", timeout=_PATIENCE_MS)
    expect(leo.locator("#told")).to_contain_text("Done", timeout=_PATIENCE_MS)
    leo.click("#reset")
    expect(leo.locator("#told")).to_contain_text("Done", timeout=_PATIENCE_MS)


def test_technician_when_an_image_is_uploaded_then_it_is_a_template_to_make_classes_of(
    dashboard: Dashboard,
) -> None:
    tec = dashboard.sign_in("technician", "es-ES")
    tec.goto(f"{dashboard.url}storage/")
    tec.fill("#template", "subida")
    tec.set_input_files("#image", _IMAGE)
    tec.click("#upload button.strong")
    expect(tec.locator("#progress")).to_be_visible()
    expect(tec.locator("table")).to_contain_text("subida", timeout=_PATIENCE_MS)  # it loads again
    tec.screenshot(path="build/screenshots/upload.png")
    tec.goto(f"{dashboard.url}classrooms/new/")
    expect(tec.locator("#template")).to_contain_text("subida")
    tec.goto(f"{dashboard.url}storage/")
    tec.fill("#template", "nada")
    no_image = FilePayload(name="n.zip", mimeType="application/zip", buffer=b"PK\3\4" * 999)
    tec.set_input_files("#image", no_image)
    tec.click("#upload button.strong")
    expect(tec.locator("#told")).to_contain_text("La subida no se puede importar")


def test_touch_screen_when_its_keyboard_is_used_then_the_machine_hears_it(
    dashboard: Dashboard,
) -> None:
    context = dashboard.browser.new_context(has_touch=True, is_mobile=True, locale="en-GB")
    eva = context.new_page()
    eva.set_default_timeout(_PATIENCE_MS)
    eva.goto(dashboard.url)
    eva.fill("#id_username", "eva")
    eva.fill("#id_password", dashboard.passwords["eva"])
    eva.tap("button.strong")
    eva.wait_for_url(dashboard.url)
    eva.goto(f"{dashboard.url}classrooms/net/1/")
    eva.wait_for_selector("#screen[data-connected]")
    eva.wait_for_function("document.querySelector('#screen canvas').width > 100")
    eva.wait_for_timeout(1000)
    eva.tap("#keys")
    expect(eva.locator("#typed")).to_be_focused()
    before = eva.evaluate(f"({_LIT})()")
    eva.keyboard.insert_text("a")  # as a keyboard on the screen puts it into a field
    eva.wait_for_function(f"(before) => ({_LIT})() > before + 400", arg=before)
    eva.screenshot(path="build/screenshots/touch.png")


def test_terminal_elsewhere_when_it_has_a_token_then_drives_the_same_verbs(
    dashboard: Dashboard,
) -> None:
    """The page makes the token, and the command of the host uses it."""
    ada = dashboard.sign_in("ada", "en-GB")
    ada.goto(f"{dashboard.url}tokens/")
    ada.fill("#name", "my laptop")
    ada.select_option("#scope", "operate")
    ada.click("text=Make the token")
    token = ada.locator("#token").inner_text()

    def run(*argv: str) -> tuple[int, Any]:
        command = [sys.executable, "-m", "pizarra", "--server", dashboard.url, "--token", token]
        done = subprocess.run([*command, *argv, "--json"], capture_output=True, text=True)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout)

    status, told = run("reset", "net", "1-2", "--dry-run", "--off")
    assert (status, told["dry_run"], [one["seat"] for one in told["seats"]]) == (
        0,
        True,
        ["net-01", "net-02"],
    )
    status, told = run("reset", "net", "1-2")
    assert (status, told["verb"], len(told["seats"])) == (0, "reset", 2)
    assert {one["verified"] for one in told["seats"]} == {True}
    status, told = run("status", "net", "2")
    assert (status, [one["seat"] for one in told["seats"]]) == (0, ["net-02"])
    assert run("checkpoint", "save", "net", "laptop", "1")[0] == 0
    found = run("checkpoint", "list", "net")[1]["checkpoints"]
    assert "laptop" in [one["checkpoint"] for one in found]
    status, told = run("reset", "nowhere")
    assert (status, "error" in told) == (2, True)
    status, told = run("classroom", "delete", "net", "--yes")
    assert (status, told["error"]["code"]) == (2, "forbidden"), "the token is for looking after it"


def expect_change(page: Page, before: bytes) -> None:
    """Wait until the screen of the machine differs from ``before``."""
    for _ in range(100):
        if page.locator("#screen canvas").screenshot() != before:
            return
        page.wait_for_timeout(300)
    raise AssertionError("the machine shows nothing new")


def test_student_when_they_ask_for_anothers_machine_then_refused(dashboard: Dashboard) -> None:
    eva = dashboard.sign_in("eva", "en-GB")
    answer = eva.goto(f"{dashboard.url}classrooms/net/3/")
    assert answer is not None
    assert answer.status == 403


@pytest.mark.parametrize(
    ("who", "path"),
    [
        ("ada", ""),
        ("ada", "classrooms/net/"),
        ("ada", "classrooms/net/people/"),
        ("ada", "classrooms/new/"),
        ("eva", ""),
        ("technician", "storage/"),
        ("technician", "people/"),
        ("ada", "tokens/"),
        ("technician", "activity/"),
    ],
)
def test_page_when_read_by_axe_then_nothing_serious_is_found(
    who: str, path: str, dashboard: Dashboard
) -> None:
    page = dashboard.sign_in(who, "en-GB")
    page.goto(dashboard.url + path)
    page.wait_for_timeout(500)
    found: Any = Axe().run(page).response["violations"]
    bad = [one for one in found if one["impact"] in ("serious", "critical")]
    assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in bad] == []
