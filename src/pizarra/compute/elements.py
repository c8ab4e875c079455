"""XML elements, written in code the way they nest. lxml escapes every text."""

from __future__ import annotations

from collections.abc import Mapping

from lxml import etree

Part = etree._Element | Mapping[str, str] | str


def element(tag: str, *parts: Part) -> etree._Element:
    """Make an element of attributes, children and text: ``element("a", {"b": "c"}, "text")``."""
    made = etree.Element(tag)
    for part in parts:
        if isinstance(part, str):
            made.text = (made.text or "") + part
        elif isinstance(part, Mapping):
            for name, value in part.items():
                made.set(name, value)
        else:
            made.append(part)
    return made


def text_of(made: etree._Element) -> str:
    """Indented XML without a declaration."""
    return etree.tostring(made, pretty_print=True, encoding="unicode")
