"""The Spanish of the pages. Update it with ``python -m tests.meta.server_catalogue``.

The catalogue has the texts of templates and of ``gettext`` in the server's code. Texts of the
layers below the server are in the other catalogue.
"""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_python
from babel.messages.pofile import read_po, write_po

from tests.meta.catalogue import compile_catalogue, is_translated, messages
from tests.meta.sentences import SERVER

PO = SERVER / "locale" / "es" / "LC_MESSAGES" / "django.po"
MO = PO.with_suffix(".mo")
_KEYWORDS: Any = {"gettext": None, "gettext_lazy": None, "_": None, "ngettext": (1, 2)}


def _sources() -> list[tuple[Path, str]]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pizarra.server.project.settings")
    from django.utils.translation.template import templatize

    found = [
        (path, templatize(path.read_text("utf-8"), origin=str(path)))
        for path in sorted((SERVER / "templates").glob("*.html"))
    ]
    return found + [(path, path.read_text("utf-8")) for path in sorted(SERVER.rglob("*.py"))]


def template() -> Catalog:
    """A catalogue of all texts of the pages."""
    catalogue = Catalog(project="pizarra-server", version="1", charset="utf-8", fuzzy=False)
    for path, text in _sources():
        where = str(path.relative_to(SERVER.parents[2]))
        for _, name, said, _ in extract_python(io.BytesIO(text.encode()), _KEYWORDS, (), {}):
            texts = (said,) if isinstance(said, str) else tuple(one for one in said or () if one)
            if texts and all(isinstance(one, str) for one in texts):
                plural = name == "ngettext" and len(texts) > 1
                catalogue.add(texts[:2] if plural else texts[0], locations=[(where, None)])  # type: ignore[list-item]
    return catalogue


def read_catalogue() -> Catalog:
    """The catalogue as it is on disk."""
    if not PO.exists():
        return Catalog(locale="es", project="pizarra-server", version="1", charset="utf-8")
    with PO.open("rb") as file:
        return read_po(file, locale="es")


def update_catalogue() -> list[str]:
    """Write both files; returns the texts without a translation."""
    catalogue = read_catalogue()
    catalogue.update(template(), no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    catalogue.fuzzy = False
    PO.parent.mkdir(parents=True, exist_ok=True)
    with PO.open("wb") as file:
        write_po(file, catalogue, width=99, sort_output=True)
    MO.write_bytes(compile_catalogue(catalogue))
    return [text for text, one in messages(catalogue).items() if not is_translated(one)]


def placeholders(text: str) -> set[str]:
    """The placeholders of a text: {n} and %(n)s."""
    return set(re.findall(r"\{\w[^}]*\}|%\(\w+\)s", text))


if __name__ == "__main__":
    for missing in update_catalogue():
        sys.stdout.write(f"not translated yet: {missing}\n")
