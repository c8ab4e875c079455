"""OneRoster 1.1 and 1.2 as CSV in a zip: its classes, and who learns in each.

A zip of somebody else is hostile until it is read: no name leads anywhere, for nothing is unpacked,
and no more is read than a school can have. Source: 1EdTech OneRoster 1.1 and 1.2, CSV tables. In a
whole file (``bulk``) the status is empty; in a ``delta`` what is ``tobedeleted`` is gone.
"""

from __future__ import annotations

import csv
import io
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock

from django.utils.translation import gettext as _

from pizarra.errors import BadInput
from pizarra.model.sizes import MIB
from pizarra.server.rooms.roster_text import decode_text, delimiter_of

# what zipfile raises for what is no zip, is damaged, or is packed in a way that it does not know
_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, EOFError),
    *(NotImplementedError, ValueError, RuntimeError, OSError),
)
_ENTRIES_MAX = 64
_BYTES_MAX = 24 * MIB  # of what is read of one zip: a school of 20,000 has half of that
_READING = Lock()  # one zip takes a fifth of the memory that the pages may have
_CELL_MAX = 10_000
_ERRORS_MAX = 100
_VERSIONS = ("1.0", "1.1", "1.2")
_NEEDED = {
    "classes.csv": ("sourcedId", "title"),
    "users.csv": ("sourcedId", "username", "givenName", "familyName"),
    "enrollments.csv": ("classSourcedId", "userSourcedId", "role"),
}
_OFF = ("false", "0", "no")
Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """A learner, as the file names them."""

    username: str
    given: str
    family: str

    @property
    def name(self) -> str:
        """The full name."""
        return f"{self.given} {self.family}".strip()

    @property
    def order(self) -> tuple[str, str, str]:
        """Where they stand in a list, accents and capitals aside."""
        plain = [unicodedata.normalize("NFKD", one).casefold() for one in (self.family, self.given)]
        return plain[0], plain[1], self.username


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What OneRoster calls a class."""

    id: str
    title: str
    code: str
    students: tuple[Student, ...]

    @property
    def name(self) -> str:
        """What a person calls it by, alone in the file as far as possible."""
        return self.code or self.title or self.id


@dataclass(slots=True)
class Report:
    """The errors of the lines of the files."""

    errors: list[dict[str, object]] = field(default_factory=list)

    def wrong(self, file: str, line: int, why: str) -> None:
        """Note an error of a line. The first hundred are enough to know what is wrong."""
        if len(self.errors) < _ERRORS_MAX:
            self.errors.append({"line": line, "why": f"{file}: {why}"})


def read_courses(data: bytes) -> tuple[list[Course], Report]:
    """The classes that the zip has, and what is wrong with it. Raises BadInput for a zip that is
    none, or not of OneRoster."""
    report = Report()
    with _READING, _opening(data) as archive:
        files = _Files(archive, report)
        files.check_version()
        users = _users(files, report)
        learners = _learners(files, users, report)
        courses = [
            Course(
                id=row["sourcedId"],
                title=row["title"],
                code=row.get("classCode", ""),
                students=tuple(dict.fromkeys(learners.get(row["sourcedId"], ()))),
            )
            for _line, row in files.rows("classes.csv")
        ]
    return courses, report


def _opening(data: bytes) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except _UNREADABLE:
        raise _no_zip() from None
    entries = [one for one in archive.infolist() if not one.is_dir()]
    names = [one.filename for one in entries]
    for one in entries:
        is_plain = one.filename.isprintable() and not {"/", "\\", ":"} & {*one.filename}
        if not is_plain or one.filename.startswith(".") or one.flag_bits & 1:
            raise BadInput(
                "The zip has a file that OneRoster does not have: {name}",
                "The tables stand in the zip itself, in no folder, and without a password.",
                name=ascii(one.filename)[:200],
            )
    if len(names) > _ENTRIES_MAX or len({one.lower() for one in names}) < len(names):
        raise BadInput("The zip has too many files, or one of them twice.")
    return archive


def _no_zip() -> BadInput:
    return BadInput("The zip cannot be read: it is damaged.", "Export it again.")


class _Files:
    """The tables of one zip."""

    def __init__(self, archive: zipfile.ZipFile, report: Report) -> None:
        self.archive, self.report = archive, report
        self.left = _BYTES_MAX
        self.names = {one.lower(): one for one in archive.namelist()}

    def check_version(self) -> None:
        """Raises BadInput for a version that nobody here knows, and for a zip of something else."""
        missing = [one for one in _NEEDED if one not in self.names]
        if missing:
            raise BadInput(
                "The zip is no OneRoster export with classes: it has no {name}.",
                "Export users, classes and enrollments of OneRoster 1.1 or 1.2 as CSV.",
                name=missing[0],
            )
        if "manifest.csv" not in self.names:
            return
        rows = csv.reader(io.StringIO(self._text("manifest.csv")))
        told = {row[0].strip(): row[1].strip() for row in rows if len(row) > 1}
        version = told.get("oneroster.version", "1.1")
        if version not in _VERSIONS:
            raise BadInput(
                "The zip is of OneRoster {version}.", "Export 1.1 or 1.2.", version=version[:20]
            )

    def rows(self, name: str) -> Iterator[tuple[int, Row]]:
        """The lines that count, by the names of their columns. Errors go to the report."""
        text = io.StringIO(self._text(name), newline=None)
        delimiter = delimiter_of(text.readline())
        text.seek(0)
        lines = csv.reader(text, delimiter=delimiter, strict=True)
        header: list[str] | None = None
        while True:
            try:
                row = next(lines, None)
            except csv.Error as error:
                self.report.wrong(name, lines.line_num, str(error))
                continue
            if row is None:
                return
            if header is None:
                header = [one.strip() for one in row]
                if not self._has_columns(name, header):
                    return
            elif any(row):
                yield from self._row(name, lines.line_num, header, row)

    def _has_columns(self, name: str, header: list[str]) -> bool:
        missing = [one for one in _NEEDED[name] if one not in header]
        if missing:
            text = _("there is no column {column}")
            self.report.wrong(name, 1, text.format(column=missing[0]))
        return not missing

    def _row(
        self, name: str, line: int, header: list[str], row: list[str]
    ) -> Iterator[tuple[int, Row]]:
        found = dict(zip(header, (cell.strip() for cell in row), strict=False))
        bad = next((cell for cell in found.values() if not _is_readable(cell)), None)
        empty = [one for one in _NEEDED[name][:2] if not found.get(one)]
        if bad is not None:
            text = _("{text} has a character that cannot be read; is the file UTF-8?")
            self.report.wrong(name, line, text.format(text=ascii(bad[:60])))
        elif len(row) > len(header) and any(row[len(header) :]):
            text = _("it has {n} columns instead of {most}")
            self.report.wrong(name, line, text.format(n=len(row), most=len(header)))
        elif found.get("status", "").lower() == "tobedeleted":
            return
        elif empty:
            self.report.wrong(name, line, _("{column} is empty").format(column=empty[0]))
        else:
            yield line, found

    def _text(self, name: str) -> str:
        """No more than is left of what one zip may have, whatever the zip says of its size. Raises
        BadInput."""
        try:
            with self.archive.open(self.names[name]) as file:
                data = file.read(self.left + 1)
        except _UNREADABLE:
            raise _no_zip() from None
        self.left -= len(data)
        if self.left < 0:
            raise BadInput(
                "The zip holds more than {n} MiB.",
                "Export one school, or one year.",
                n=_BYTES_MAX // MIB,
            )
        return decode_text(data)


def _is_readable(cell: str) -> bool:
    if len(cell) > _CELL_MAX:
        return False
    return cell.isprintable() or not any(
        one == "\ufffd" or unicodedata.category(one) in ("Cc", "Cs") for one in cell
    )


def _users(files: _Files, report: Report) -> dict[str, Student | None]:
    """By their id; None for those who may not sign in."""
    found, lines = dict[str, Student | None](), dict[str, int]()
    for line, row in files.rows("users.csv"):
        id_ = row["sourcedId"]
        if id_ in found:
            text = _("{name} is on line {line} already")
            report.wrong("users.csv", line, text.format(name=id_[:60], line=lines[id_]))
            continue
        lines[id_] = line
        is_off = row.get("enabledUser", "").lower() in _OFF
        found[id_] = None if is_off else Student(
            username=row["username"], given=row["givenName"], family=row["familyName"]
        )  # fmt: skip
    return found


def _learners(
    files: _Files, users: dict[str, Student | None], report: Report
) -> dict[str, list[Student]]:
    """By id of a class. An enrolment of somebody who is not among the users is an error."""
    found: dict[str, list[Student]] = {}
    for line, row in files.rows("enrollments.csv"):
        user = row["userSourcedId"]
        if row["role"].lower() != "student":
            continue
        if user not in users:
            text = _("there is no user {id} in users.csv")
            report.wrong("enrollments.csv", line, text.format(id=user[:60]))
        elif student := users[user]:
            found.setdefault(row["classSourcedId"], []).append(student)
    return found
