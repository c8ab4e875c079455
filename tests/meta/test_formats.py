"""The page about formats names every setting and every key that the code reads and writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pizarra.service.export import Manifest
from pizarra.service.views import View
from pizarra.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"


def words_of(section: str) -> set[str]:
    """The words in code spans of one section of the page."""
    text = PAGE.read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    return {word for span in re.findall(r"`([^`]+)`", text) for word in re.findall(r"\w+", span)}


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ("Settings", set(Settings.model_fields)),
        ("Export manifest", set(Manifest.model_fields)),
        ("Views", set(View.__dataclass_fields__)),
    ],
)
def test_formats_page_when_code_has_a_key_then_its_section_names_it(
    section: str, names: set[str]
) -> None:
    assert names - words_of(section) == set()
