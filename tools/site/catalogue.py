"""The Spanish of the site. Update it with ``python -m tools.site.catalogue``.

The command adds new texts with an empty translation, removes texts that no page has any more, and
prints what is not translated. A text that the program has in Spanish needs no second translation.
``languages.py`` names the pages that stay English.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from tools.site.checks import checks
from tools.site.languages import ENGLISH_ONLY, THEME_WORDS, is_translatable
from tools.site.markdown import plain

ROOT = Path(__file__).parents[2]
PO = ROOT / "docs" / "locale" / "es" / "LC_MESSAGES" / "site.po"
_PROGRAM = (
    ROOT / "src/pizarra/locale/es/LC_MESSAGES/pizarra.po",
    ROOT / "src/pizarra/server/locale/es/LC_MESSAGES/django.po",
)
WIDTH = 99


def read_catalogue(path: Path = PO) -> Catalog:
    """One catalogue as it is on disk; an empty one without a file."""
    if not path.exists():
        return Catalog(locale="es", project="pizarra", version="1", charset="utf-8", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale="es")


def program_texts() -> dict[str, str]:
    """The texts of the program and their Spanish, which may be empty yet; without plurals."""
    return {
        one.id: one.string
        for path in _PROGRAM
        for one in read_catalogue(path)
        if isinstance(one.id, str) and isinstance(one.string, str) and one.id
    }


def write_compiled(source: Path) -> None:
    """Write what Sphinx reads, for each page in ``source``: the site's own translations, else the
    program's. A page that stays English gets its title only."""
    own = {one.id: one.string for one in read_catalogue() if one.id and one.string}
    known = {text: words for text, words in program_texts().items() if words} | own
    for page in source.rglob("*.md"):
        title = _title(page)
        words = {title: known.get(title, "")} if page.name in ENGLISH_ONLY else known
        target = (source / "locale/es/LC_MESSAGES" / page.relative_to(source)).with_suffix(".mo")
        target.parent.mkdir(parents=True, exist_ok=True)
        catalogue = Catalog(locale="es", charset="utf-8")
        for text, translation in words.items():
            catalogue.add(text, translation)
        with target.open("wb") as file:
            write_mo(file, catalogue)


def write_theme_words(folder: Path) -> None:
    """Put what the theme says in English into Spanish, in all pages of a folder."""
    for page in folder.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for english, spanish in THEME_WORDS.items():
            text = text.replace(english, spanish)
        page.write_text(text, encoding="utf-8")


def read_template(folder: Path) -> Catalog:
    """All texts of the site, with the page of each, by Sphinx. Works in an empty ``folder``."""
    from tools.site.build import gather_pages, run_sphinx

    source = folder / "source"
    gather_pages(source)
    status = run_sphinx("gettext", source, folder / "gettext")
    assert status == 0, "Sphinx said why"
    titles = {_title(page) for page in source.rglob("*.md")}
    wanted = Catalog(project="pizarra", version="1", charset="utf-8", fuzzy=False)
    for path in sorted((folder / "gettext").rglob("*.pot")):
        for one in read_catalogue(path):
            pages = sorted({Path(name).name for name, _ in one.locations})
            is_read = not ENGLISH_ONLY.issuperset(pages) or one.id in titles
            if one.id and is_read and is_translatable(str(one.id)):
                wanted.add(one.id, locations=[(page, None) for page in pages])  # type: ignore[misc]
    return wanted


def _title(page: Path) -> str:
    """Of a page. Lists of pages show it in the reader's language."""
    return page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def update_catalogue() -> list[str]:
    """Write the catalogue; returns the texts without a translation, each after its page."""
    catalogue = read_catalogue()
    with tempfile.TemporaryDirectory() as folder:
        catalogue.update(
            read_template(Path(folder)), no_fuzzy_matching=True, update_creation_date=False
        )
    catalogue.obsolete.clear()
    for text in [*program_texts(), *(plain(one) for texts in checks().values() for one in texts)]:
        if (one := catalogue.get(text)) is not None and not one.string:
            catalogue.delete(text)
    catalogue.fuzzy = False
    PO.parent.mkdir(parents=True, exist_ok=True)
    with PO.open("wb") as file:
        write_po(file, catalogue, width=WIDTH, sort_by_file=True)
    return [f"{one.locations[0][0]}: {one.id}" for one in catalogue if one.id and not one.string]


if __name__ == "__main__":
    missing = update_catalogue()
    sys.stdout.write("".join(f"not translated yet: {text}\n" for text in missing))
