"""The server's Spanish: complete, compiled, and with the same things filled in."""

from __future__ import annotations

from babel.messages.catalog import Message
from babel.messages.mofile import read_mo

from tests.meta.catalogue import is_translated, messages, translations
from tests.meta.server_catalogue import MO, placeholders, read_catalogue, template


def test_catalogue_when_compared_with_the_pages_then_it_has_the_same_texts() -> None:
    assert set(messages(read_catalogue())) == set(messages(template()))


def test_catalogue_when_read_then_every_text_has_its_spanish() -> None:
    found = messages(read_catalogue())
    assert [text for text, one in found.items() if not is_translated(one)] == []


def test_translations_when_they_fill_in_then_the_same_as_the_original() -> None:
    def wrong(message: Message) -> bool:
        texts = (message.id,) if isinstance(message.id, str) else message.id
        wanted = set().union(*(placeholders(text) for text in texts))
        return any(not placeholders(said) <= wanted for said in translations(message))

    assert [text for text, one in messages(read_catalogue()).items() if wrong(one)] == []


def test_compiled_catalogue_when_read_then_it_is_that_of_the_texts() -> None:
    with MO.open("rb") as file:
        compiled = messages(read_mo(file))
    assert {t: translations(m) for t, m in compiled.items()} == {
        t: translations(m) for t, m in messages(read_catalogue()).items()
    }
