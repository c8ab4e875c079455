"""The ``<metadata>`` element of a domain that is a seat of ours."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

NAMESPACE = "urn:pizarra:1"
_PREFIX = "pizarra"
SEAT = f"{{{NAMESPACE}}}seat"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatMetadata:
    """The attributes of the element."""

    classroom: str
    number: int
    template: str
    version: int


def seat_element(seat: SeatMetadata) -> etree._Element:
    """The element ``<pizarra:seat classroom=… number=… template=… version=…/>``."""
    element = etree.Element(etree.QName(NAMESPACE, "seat"), nsmap={_PREFIX: NAMESPACE})
    element.set("classroom", seat.classroom)
    element.set("number", str(seat.number))
    element.set("template", seat.template)
    element.set("version", str(seat.version))
    return element


def is_ours(domain: etree._Element) -> bool:
    """Whether a parsed domain has the element."""
    return domain.find(f"metadata/{SEAT}") is not None
