"""The text of a roster, as people send one: typed, pasted from a spreadsheet, or a CSV file.

A file says seldom which encoding it has. UTF-16 has zeros, UTF-8 is hardly ever valid by accident,
and what is left is what Excel calls CSV in the west of Europe: Windows-1252.

One line is one student. A field in quotes does not go on in the next line, so that a quote that is
never closed costs its own line only.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

from pizarra.errors import BadInput

LINE_LENGTH_MAX = 1000
_END_OF_LINE = re.compile(r"\r\n|\r|\n")
_QUOTED = re.compile(r'"[^"]*"')
_SEPARATOR_LINE = re.compile(r'"?sep=([,;\t])"?', re.IGNORECASE)  # Excel's own first line
_HEADINGS = ("seat", "puesto")
_COLUMNS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: its cells without the spaces around them, or why it cannot be read."""

    number: int
    cells: tuple[str, ...] = ()
    fault: str = ""


def decode_text(data: bytes) -> str:
    """The text of a file, without a mark. Raises BadInput for what is no text."""
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if data.startswith(mark):
            return _decode(data[2:], encoding)
    if data.startswith(b"\xef\xbb\xbf"):
        return _decode(data[3:], "utf-8")
    even, odd = data[:1000:2].count(0), data[1:1000:2].count(0)
    if max(even, odd) > len(data[:1000]) / 20:  # each plain letter of UTF-16 has a zero
        return _decode(data, "utf-16-be" if even > odd else "utf-16-le")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _decode(data, "cp1252")


def _decode(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise BadInput(
            "The file is no text that can be read.", "Save it as CSV in UTF-8, and send it again."
        ) from None


def parse_lines(text: str) -> Iterator[Line]:
    """The lines that say something. A separator line, a heading and empty lines do not."""
    delimiter, is_first = "", True
    for number, line in enumerate(_END_OF_LINE.split(text.removeprefix("\ufeff")), 1):
        told = _SEPARATOR_LINE.fullmatch(line.strip(" ")) if is_first else None
        if told:
            delimiter = told[1]
        elif line.strip(" ,;\t"):
            delimiter = delimiter or delimiter_of(line)
            parsed = _parse(number, line, delimiter)
            if not (is_first and parsed.cells and parsed.cells[0].lower() in _HEADINGS):
                yield parsed
            is_first = False


def delimiter_of(line: str) -> str:
    """The first separator outside of quotes: a name may have others in it."""
    return next((one for one in _QUOTED.sub("", line) if one in ",;\t"), ",")


def _parse(number: int, line: str, delimiter: str) -> Line:
    if len(line) > LINE_LENGTH_MAX:
        text = _("it has {n} characters; a line has at most {most}")
        return Line(number=number, fault=text.format(n=len(line), most=LINE_LENGTH_MAX))
    try:
        row = next(csv.reader([line], delimiter=delimiter, strict=True, skipinitialspace=True))
    except csv.Error:
        return Line(number=number, fault=_quote_fault(line))
    cells = [cell.strip() for cell in row]
    while len(cells) > _COLUMNS and not cells[-1]:
        cells.pop()  # spreadsheets fill lines up
    return Line(number=number, cells=tuple(cells), fault=_fault(cells))


def _quote_fault(line: str) -> str:
    if line.count('"') % 2:
        return _("a quote is opened and not closed on this line")
    return _("a quote inside a field in quotes is written twice")


def _fault(cells: list[str]) -> str:
    for cell in cells:
        for one in cell:
            if one == "\ufffd" or unicodedata.category(one) in ("Cc", "Cs"):
                text = _("{text} has a character that cannot be read; is the file UTF-8?")
                return text.format(text=ascii(cell[:60]))
    if len(cells) > _COLUMNS:
        text = _("it has {n} columns instead of 3; a name with a comma stands in quotes")
        return text.format(n=len(cells))
    if len(cells) < 2:
        return _("a seat and a user name are needed")
    return ""
