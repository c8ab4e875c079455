"""The Spanish catalogue beside the source. Update it with ``python -m tests.meta.catalogue``.

The command adds new texts with an empty translation, removes texts that no code has any more, and
writes the compiled catalogue. Run the command before and after you translate.
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
    """A catalogue of all texts of the source. Babel joins texts that occur several times."""
    catalogue = Catalog(project="pizarra", version="1", charset="utf-8", fuzzy=False)
    for one in sentences()[0]:
        key = (one.text, one.plural) if one.plural else one.text
        catalogue.add(key, locations=[(one.where.partition(":")[0], None)])  # type: ignore[list-item]
    return catalogue


def read_catalogue(path: Path = PO) -> Catalog:
    """The catalogue as it is on disk."""
    with path.open("rb") as file:
        return read_po(file, locale="es")


def messages(catalogue: Catalog) -> dict[str, Message]:
    """The messages by their text (or its singular), without the header."""
    return {_singular(one): one for one in catalogue if one.id}


def _singular(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def read_compiled_catalogue() -> Catalog:
    """The catalogue in the compiled file."""
    with MO.open("rb") as file:
        return read_mo(file)


def compile_catalogue(catalogue: Catalog) -> bytes:
    """The bytes that gettext reads."""
    file = io.BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def update_catalogue() -> list[str]:
    """Write both files; returns the texts without a translation."""
    catalogue = read_catalogue()
    catalogue.update(template(), no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    catalogue.fuzzy = False
    with PO.open("wb") as file:
        write_po(file, catalogue, width=WIDTH, sort_output=True)
    MO.write_bytes(compile_catalogue(catalogue))
    return [text for text, one in messages(catalogue).items() if not is_translated(one)]


def is_translated(message: Message) -> bool:
    """Whether every form of a message has a translation."""
    return all(translations(message))


def translations(message: Message) -> tuple[str, ...]:
    """The translation of each plural form; an empty one is missing."""
    said = message.string or ""
    return (said,) if isinstance(said, str) else tuple(one or "" for one in said)


if __name__ == "__main__":
    missing = update_catalogue()
    sys.stdout.write("".join(f"not translated yet: {text}\n" for text in missing))
