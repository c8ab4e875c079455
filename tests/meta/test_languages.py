"""Whoever adds a text adds its Spanish; ``python -m tests.meta.catalogue`` makes room for it."""

from __future__ import annotations

from string import Formatter

import pytest
from babel.messages.catalog import Catalog, Message

from tests.meta.catalogue import (
    is_translated,
    messages,
    read_catalogue,
    read_compiled_catalogue,
    template,
    translations,
)
from tests.meta.sentences import sentences


@pytest.fixture(scope="module")
def spanish() -> Catalog:
    return read_catalogue()


@pytest.fixture(scope="module")
def source() -> Catalog:
    return template()


def placeholders(text: str) -> set[tuple[str, str, str]]:
    """Names with their format; a plural may leave one out, and this does not allow it."""
    return {
        (name, form or "", conversion or "")
        for _, name, form, conversion in Formatter().parse(text)
        if name is not None
    }


def forms(message: Message) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else tuple(message.id)


def test_catalogue_when_compared_with_the_source_then_it_has_the_same_texts(
    spanish: Catalog, source: Catalog
) -> None:
    assert len(messages(source)) > 500, "the texts are not where this test looks"
    have = {text: forms(one) for text, one in messages(spanish).items()}
    assert have == {text: forms(one) for text, one in messages(source).items()}
    assert not spanish.obsolete


def test_catalogue_when_read_then_every_text_is_translated_and_none_is_a_guess(
    spanish: Catalog,
) -> None:
    assert [t for t, one in messages(spanish).items() if not is_translated(one)] == []
    assert [t for t, one in messages(spanish).items() if one.fuzzy] == []


def test_catalogue_when_a_text_has_placeholders_then_its_translation_has_the_same(
    spanish: Catalog,
) -> None:
    differ = [
        (text, said)
        for text, one in messages(spanish).items()
        for said in translations(one)
        if placeholders(said) != placeholders(text)
    ]
    assert differ == []


def test_catalogue_when_a_text_ends_in_a_full_stop_then_its_translation_does(
    spanish: Catalog,
) -> None:
    differ = [
        text
        for text, one in messages(spanish).items()
        for said in translations(one)
        if text.endswith(".") != said.endswith(".")
    ]
    assert differ == []


def test_compiled_catalogue_when_compared_then_it_is_not_stale(spanish: Catalog) -> None:
    compiled = {
        text: translations(one) for text, one in messages(read_compiled_catalogue()).items()
    }
    assert compiled == {text: translations(one) for text, one in messages(spanish).items()}


def test_texts_when_shown_to_a_person_then_each_is_marked_where_it_stands() -> None:
    unmarked = sentences()[1]
    assert unmarked == [], "mark the text with N_; a text put together is a Sentence with facts"
