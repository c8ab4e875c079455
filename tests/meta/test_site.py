"""The documentation site names all that there is, is whole in Spanish, and is built the same way
twice, without a warning and without anything from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog

from pizarra.errors import PizarraError
from pizarra.service.apply import Declared
from pizarra.service.commands.table import all_commands
from pizarra.settings import Settings
from tools.command_tree import commands
from tools.site.build import LANGUAGES, build_site, generated_pages
from tools.site.catalogue import program_texts, read_catalogue, read_template
from tools.site.checks import checks
from tools.site.languages import THEME_WORDS, WHOLE
from tools.site.markdown import plain
from tools.site.pages import addresses
from tools.site.rest import description

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_OUTSIDE = re.compile(r"""<(?:link|script|img)[^>]*(?:href|src)=["'](?:https?:)?//""")


@pytest.fixture(scope="module")
def generated() -> str:
    """All that is made from the code, as one text."""
    return "\n".join(generated_pages().values())


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The site, built twice in different folders."""
    folders = [tmp_path_factory.mktemp("site") for _ in range(2)]
    assert [build_site(folder) for folder in folders] == [0, 0], "Sphinx said why"
    return [folder / "html" for folder in folders]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """All texts of the site that have a translation or need one."""
    return read_template(tmp_path_factory.mktemp("texts"))


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_site_when_generated_then_every_command_and_its_options_are_in_it(generated: str) -> None:
    for command in commands():
        if not command.subcommands:
            title = f"## pizarra {' '.join(command.words)}\n"
            assert title in generated
            section = generated.partition(title)[2].partition("\n## ")[0]
            names = {name for one in command.options for name in one.names}
            assert {name for name in names if f"`{name}" not in section} == set()


def test_site_when_generated_then_every_setting_and_error_code_is_in_it(generated: str) -> None:
    wanted = [*Settings.model_fields, *(one.code for one in _errors(PizarraError))]
    assert [one for one in wanted if f"| `{one}` |" not in generated] == []
    included = re.findall(r"{include} generated/([\w-]+)\.inc", "".join(map(read, _names())))
    assert {"settings-host", "settings-teachers", "settings-server", "error-codes",
            "dashboard-addresses", "host-checks", "commands-options"} == set(included)  # fmt: skip


def test_site_when_generated_then_every_operation_of_the_api_is_in_it(generated: str) -> None:
    for path, methods in description()["paths"].items():
        for method in methods:
            assert f"## `{method.upper()} {path.removeprefix('/api/v1')}`\n" in generated
    assert len(description()["paths"]) > len(all_commands()) / 2


def test_site_when_read_then_every_policy_and_every_page_of_the_dashboard_is_in_it() -> None:
    assert [one for one in Declared.model_fields if f"| `{one}` |" not in read("policies.md")] == []
    told = set(re.findall(r"^Address: `([^`]+)`", read("dashboard.md"), re.M))
    assert told == set(addresses())


def test_site_when_built_then_every_page_is_in_the_contents(sites: list[Path]) -> None:
    contents = (sites[0] / "en" / "index.html").read_text("utf-8")
    pages = {page.relative_to(sites[0] / "en") for page in (sites[0] / "en").rglob("*.html")}
    assert {name.removesuffix(".md") for name in _names()} <= {page.stem for page in pages}
    unnamed = {str(page) for page in pages if f'href="{page}"' not in contents}
    assert unnamed == {"index.html"}


def test_site_when_a_teacher_reads_it_in_spanish_then_every_text_has_a_translation(
    texts: Catalog,
) -> None:
    own = {one.id: one.string for one in read_catalogue() if one.id and one.string}
    of_the_program = {plain(text) for texts in checks().values() for text in texts}
    known = own.keys() | program_texts().keys() | of_the_program  # its own tests look at these
    wanted = [one.id for one in texts if WHOLE.intersection(page for page, _ in one.locations)]
    assert len(wanted) > 150
    assert [one for one in wanted if one not in known] == [], "python -m tools.site.catalogue"


def test_site_when_read_in_spanish_then_code_and_links_are_those_of_the_english(
    texts: Catalog,
) -> None:
    """A translation keeps each name that is typed, and each page that is linked to."""
    exact = re.compile(r"`(?:pizarra|--|/|[\w-]+\.service)[^`]*`|\]\([^)]+\)")
    assert len(list(texts)) > 100
    for one in read_catalogue():
        if one.id and one.string:
            there = [sorted(exact.findall(str(text))) for text in (one.id, one.string)]
            assert there[0] == there[1], one.id


def test_site_when_built_twice_then_the_bytes_are_the_same(sites: list[Path]) -> None:
    first, second = (
        {path.relative_to(site): path.read_bytes() for path in site.rglob("*") if path.is_file()}
        for site in sites
    )
    assert first.keys() == second.keys()
    assert [path for path in first if first[path] != second[path]] == []


def test_site_when_opened_then_nothing_comes_from_elsewhere(sites: list[Path]) -> None:
    pages = list(sites[0].rglob("*.html"))
    assert len(pages) > 40
    assert [page for page in pages if _OUTSIDE.search(page.read_text("utf-8"))] == []
    styles = [path.read_text("utf-8") for path in sites[0].rglob("*.css")]
    assert styles
    assert not any(re.search(r"url\(['\"]?https?:|@import", style) for style in styles)


def test_site_when_built_then_each_page_leads_to_the_same_page_in_the_other_language(
    sites: list[Path],
) -> None:
    pages = [{page.relative_to(sites[0] / one) for page in (sites[0] / one).rglob("*.html")}
             for one in LANGUAGES]  # fmt: skip
    assert pages[0] == pages[1]
    english = (sites[0] / "en" / "dashboard.html").read_text("utf-8")
    assert [one for one in THEME_WORDS if one not in english] == [], "the theme says it otherwise"
    wall = (sites[0] / "es" / "dashboard.html").read_text("utf-8")
    assert 'lang="es"' in wall
    assert '../en/dashboard.html" lang="en"' in wall
    assert "Restablecer" in wall
    assert "_images/wall.es.png" in wall


def _names() -> list[str]:
    return sorted(page.name for page in DOCS.glob("*.md"))


def _errors(error: type[PizarraError]) -> list[type[PizarraError]]:
    return [error, *(one for child in error.__subclasses__() for one in _errors(child))]
