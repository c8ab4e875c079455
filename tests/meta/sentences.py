"""Every text of the source that a person may read: each is marked where it stands.

An error, a ``Sentence``, ``_`` and ``ngettext`` mark their first arguments. ``N_`` marks a text
that goes another way; ``P_`` marks a singular and its plural. The extractor reads these calls and
nothing else.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pizarra import errors

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "pizarra"
SERVER = SOURCE / "server"
ERRORS = tuple(
    name
    for name, one in vars(errors).items()
    if isinstance(one, type) and issubclass(one, errors.PizarraError)
)
MARKS: dict[str, tuple[int, ...]] = {  # by function: which of its arguments are texts
    **dict.fromkeys(ERRORS, (0, 1)),
    "_": (0,),
    "N_": (0,),
    "Sentence": (0,),
}
PLURALS = ("ngettext", "P_")  # a singular and its plural
# what shows its argument to a person, so that a literal there must be marked
SHOWN: dict[str, tuple[int | str, ...]] = {
    "Noted": ("text",),
    "Finding": ("text",),
    "Trouble": ("text",),
    "SeatOutcome": ("reason",),
    "SeatPlan": ("reason",),
    "MachinePlan": ("reason",),
    "Began": ("what",),
    "claim": (1,),
    "timing": (0,),
    **dict.fromkeys(ERRORS, ("verb", "what", "why")),
    "Sentence": ("verb", "what", "why"),
    "finding": (2,),
    "good": (1,),
    "to_run": (2,),
    "to_install": (2,),
    "each_seat": (1,),
}
OWN_WORDS = ("_", "ngettext")  # of the server: in a catalogue of its own
FOR_TESTS = {"memory.py", "memory_disks.py", "memory_host.py"}  # drivers that a person never meets


@dataclass(frozen=True, slots=True)
class Found:
    """A text, its plural or nothing, and where."""

    text: str
    plural: str
    where: str


def has_words(text: str) -> bool:
    """Whether something is left to translate when its placeholders are out."""
    return any(letter.isalpha() for letter in re.sub(r"{[^}]*}", "", text))


def modules() -> list[Path]:
    """Where people's words may be."""
    return [path for path in sorted(SOURCE.rglob("*.py")) if not is_for_tests(path)]


def is_for_tests(path: Path) -> bool:
    """Whether nobody but a test meets what the module says."""
    return path.name in FOR_TESTS or path.parent == SOURCE / "storage" / "memory"


def sentences() -> tuple[list[Found], list[str]]:
    """All texts, and the places of texts that are not marked, or cannot be told."""
    found: list[Found] = []
    unmarked: list[str] = []
    for path in modules():
        for call in _calls(path):
            where = f"{path.relative_to(ROOT)}:{call.lineno}"
            name = _name(call)
            if SERVER in path.parents and name in OWN_WORDS:
                continue
            found += _marked(call, name, where)
            unmarked += [where for one in _shown(call, name) if _is_unmarked(one)]
            unmarked += [where for n in MARKS.get(name, ()) if _is_put_together(call, n, name)]
    return found, unmarked


def _calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield node


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _marked(call: ast.Call, name: str, where: str) -> Iterator[Found]:
    if name in PLURALS and len(call.args) > 1:
        one, many = (next(_texts(arg), "") for arg in call.args[:2])
        if one:
            yield Found(one, many, where)
    for place in MARKS.get(name, ()):
        for text in _texts(call.args[place]) if place < len(call.args) else ():
            if has_words(text):
                yield Found(text, "", where)


def _texts(value: ast.expr) -> Iterator[str]:
    """The literals of an argument, also those of ``a if b else c`` and ``a or b``."""
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from (*_texts(one), *_texts(other))
        case ast.BoolOp(values=several):
            for one in several:
                yield from _texts(one)


def _shown(call: ast.Call, name: str) -> Iterator[ast.expr]:
    for place in SHOWN.get(name, ()):
        if isinstance(place, str):
            yield from (one.value for one in call.keywords if one.arg == place)
        elif place < len(call.args):
            yield call.args[place]


def _is_unmarked(value: ast.expr) -> bool:
    return any(map(has_words, _texts(value)))


def _is_put_together(call: ast.Call, place: int, name: str) -> bool:
    """From parts, so that no catalogue can have the whole."""
    if place >= len(call.args) or name == "_":
        return False
    value = call.args[place]
    parts = value.values if isinstance(value, ast.JoinedStr) else ()
    letters = [p for p in parts if isinstance(p, ast.Constant) and has_words(str(p.value))]
    return bool(letters) or isinstance(value, ast.BinOp)
