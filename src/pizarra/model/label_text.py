"""Frozen dataclasses as flat ``key -> text``, the form of labels and records on disks.

A field that has its default is not written. A field that holds another dataclass of this kind is
written as the fields of that one. ``docs/formats.md`` describes the keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from enum import StrEnum
from typing import Any, TypeVar

from pizarra.errors import NotOurs
from pizarra.model.hardware import Hardware

FORMAT = 2  # of labels and records; format 1 had no such key, and ended with version ab156f6
T = TypeVar("T")
Parser = Callable[[str], object]


class ResetMethod(StrEnum):
    """How a seat's volume goes back to its baseline."""

    REWIND = "rewind"
    MERGE = "merge"  # an adopted classic volume: its snapshot is merged and made again


class Firmware(StrEnum):
    """What boots the guest."""

    BIOS = "bios"
    UEFI = "uefi"


def _flag_parsed(text: str) -> bool:
    return bool(int(text))


_PARSERS: Mapping[str, Parser] = {
    "str": str,
    "int": int,
    "bool": _flag_parsed,
    "Firmware": Firmware,
    "ResetMethod": ResetMethod,
    "Hardware": Hardware.parse,
}


def plain_fields(cls: type[Any]) -> dict[str, Field[Any]]:
    """The fields of a dataclass that are one text each, by name."""
    return {field.name: field for field in fields(cls) if field.type in _PARSERS}


def plain_fields_to_dict(value: Any) -> dict[str, str]:
    """The plain fields that differ from their default, as texts."""
    written: dict[str, str] = {}
    for name, field in plain_fields(type(value)).items():
        content = getattr(value, name)
        if field.default is MISSING or content != field.default:
            written[name] = str(int(content)) if isinstance(content, bool) else str(content)
    return written


def plain_fields_parsed(cls: type[Any], raw: Mapping[str, str]) -> dict[str, Any]:
    """The plain fields of a dataclass that ``raw`` has. Raises NotOurs, naming the key."""
    found = {}
    for name, field in plain_fields(cls).items():
        if name in raw:
            found[name] = value_parsed(name, raw[name], _PARSERS[str(field.type)])
        elif field.default is MISSING:
            raise NotOurs("the label {key} is missing", key=name)
    return found


def value_parsed(key: str, text: object, parser: Callable[[str], T]) -> T:
    """Raises NotOurs, naming the key, when the text is none that the parser knows."""
    if not isinstance(text, str):
        raise NotOurs("the label {key} says {value!r}", key=key, value=text)
    try:
        return parser(text)
    except ValueError:
        raise NotOurs("the label {key} says {value!r}", key=key, value=text) from None
