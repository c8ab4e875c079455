"""XML elements written the way they nest. Everything is escaped by lxml."""

from __future__ import annotations

from collections.abc import Mapping

from lxml import etree

Part = etree._Element | Mapping[str, str] | str


def element(tag: str, *parts: Part) -> etree._Element:
    """``element("source", {"dev": "/dev/x"})``: attributes, children and text, in any number."""
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
