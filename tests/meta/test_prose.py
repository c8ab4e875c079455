"""Documents and docstrings are short sentences, and links of documents work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.meta.prose import docstring_sentences, is_link_valid, read_links, read_sentences
from tests.meta.test_lengths import modules

ROOT = Path(__file__).parents[2]
WORDS_MAX = 40
DOCUMENTS = sorted(
    path.relative_to(ROOT)
    for path in [
        *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "guests").rglob("*.md"),
    ]
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_document_when_read_then_no_sentence_has_more_than_40_words(document: Path) -> None:
    sentences = list(read_sentences(ROOT / document))
    assert sentences, "the file has no sentences, or the test does not see them"
    long = [f"{one.line}: {one.words} words: {one.text}" for one in sentences
            if one.words > WORDS_MAX]  # fmt: skip
    assert long == []


def test_docstrings_when_read_then_no_sentence_has_more_than_40_words() -> None:
    long = [
        f"{module.relative_to(ROOT)}:{one.line}: {one.words} words: {one.text}"
        for module in modules()
        for one in docstring_sentences(module)
        if one.words > WORDS_MAX
    ]
    assert long == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_document_when_it_links_to_a_file_or_a_heading_then_that_is_there(document: Path) -> None:
    broken = [
        link for link in read_links(ROOT / document) if not is_link_valid(link, ROOT / document)
    ]
    assert broken == []


def test_sentences_when_a_document_has_code_tables_and_lists_then_prose_alone_is_cut(
    tmp_path: Path,
) -> None:
    file = tmp_path / "x.md"
    file.write_text(
        "# A heading\n\nOne `a. b. c` two\nthree. **Four** [five six](x.md)! Seven: eight; nine\n"
        "```\nno. words\n```\n| a | table. |\n\n- first item\n- second\n  item – here\n"
        "<!-- not\nthis. -->\nlast\n"
    )
    assert [(one.line, one.text, one.words) for one in read_sentences(file)] == [
        (1, "A heading", 2),
        (3, "One code two three.", 4),
        (3, "Four five six!", 3),
        (3, "Seven: eight; nine", 3),
        (10, "first item", 2),
        (11, "second item – here", 3),
        (15, "last", 1),
    ]


def test_architecture_when_it_names_a_file_then_that_is_there() -> None:
    spans = re.findall(r"`([\w*./]+/[\w*./]*)`", (ROOT / "ARCHITECTURE.md").read_text("utf-8"))
    assert len(spans) > 20, "the test does not see the names"
    roots = (ROOT, ROOT / "src" / "pizarra")
    assert [one for one in spans if not any(any(root.glob(one)) for root in roots)] == []
