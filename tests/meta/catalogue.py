"""The Spanish catalogue beside the source: ``python -m tests.meta.catalogue`` brings it up to date.

New texts get an empty translation to fill in, those that are gone go, and the compiled form is
written again; run it before and after translating.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po

from tests.meta.sentences import SOURCE, sentences

PO = SOURCE / "locale" / "es" / "LC_MESSAGES" / "pizarra.po"
MO = PO.with_suffix(".mo")
WIDTH = 99


def template() -> Catalog:
    """All texts of the source. Babel joins those that occur several times."""
    catalogue = Catalog(project="pizarra", version="1", charset="utf-8", fuzzy=False)
    for one in sentences()[0]:
        key = (one.text, one.plural) if one.plural else one.text
        catalogue.add(key, locations=[(one.where.partition(":")[0], None)])  # type: ignore[list-item]
    return catalogue


def catalogue_read(path: Path = PO) -> Catalog:
    """As it is on disk."""
    with path.open("rb") as file:
        return read_po(file, locale="es")


def messages(catalogue: Catalog) -> dict[str, Message]:
    """By the text, or its singular; without the head."""
    return {_singular(one): one for one in catalogue if one.id}


def _singular(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def catalogue_compiled() -> Catalog:
    """What is in the compiled file."""
    with MO.open("rb") as file:
        return read_mo(file)


def compiled(catalogue: Catalog) -> bytes:
    """What gettext reads."""
    file = io.BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def brought_up_to_date() -> list[str]:
    """Write both files again; the texts that have no translation yet."""
    catalogue = catalogue_read()
    catalogue.update(template(), no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    catalogue.fuzzy = False
    with PO.open("wb") as file:
        write_po(file, catalogue, width=WIDTH, sort_output=True)
    MO.write_bytes(compiled(catalogue))
    return [text for text, one in messages(catalogue).items() if not is_translated(one)]


def is_translated(message: Message) -> bool:
    """In every form."""
    return all(translations(message))


def translations(message: Message) -> tuple[str, ...]:
    """One, or one for each plural form; empty ones are still to be done."""
    said = message.string or ""
    return (said,) if isinstance(said, str) else tuple(one or "" for one in said)


if __name__ == "__main__":
    missing = brought_up_to_date()
    sys.stdout.write("".join(f"not translated yet: {text}\n" for text in missing))
