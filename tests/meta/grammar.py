"""Which names of functions are past participles, by the words that a name is made of.

A name is cut at its underscores. The first and the last word decide:

- A question is never a participle: the first word is ``is``, ``has``, ``can`` or one alike.
- A command is never a participle: the first word is one of ``VERBS``. The last word may then be a
  participle that stands for a noun: ``parse_needed`` parses what is needed.
- A quantity is never a participle: the last word is a unit. ``changed_bytes`` is a noun.
- Of all other names the first or the last word must not be a participle: ``kept_marks`` and
  ``lv_created`` are both counted.

A word is a participle when it ends in ``-ed``, or is one of ``IRREGULAR``. Words whose participle
is also their imperative (put, read, set, cut, split) are never counted.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


QUESTIONS = _words("is has can may was are needs")
UNITS = _words("bytes ms s share")
# words that end in -ed and are no participle
NOT_PARTICIPLES = _words(
    "bed bleed breed embed exceed feed need proceed red seed shed speed succeed"
)
IRREGULAR = _words(
    """
    become begun bent bound bought broken brought built burnt caught chosen come dealt done drawn
    driven fallen fed felt forgiven forgotten found frozen given gone grown heard held hidden hung
    kept known laid led left lent lost made meant met mistaken overridden paid proven rebuilt redone
    rewound rewritten risen rung said seen sent shown shrunk sold sought spent
    spoken spun stolen stood struck stuck sunk swept swung taken taught thought thrown told torn
    undone understood unwound withdrawn woken won worn wound written
    """
)
# First words of commands. Words that are nouns here too (list, mark, name, plan, store) are not
# among them, so that ``list_removed`` is counted.
VERBS = _words(
    """
    add adopt allow apply ask assign attach await begin build cancel check choose claim clear
    close collect compare complete compose connect copy count create cut define delete describe
    detach diff discard drop edit emit end enqueue ensure erase exchange exclude expand export
    extend extract fetch fill filter find finish fix flush follow forget free freeze get give go
    guard identify import include insert inspect install join keep kill launch leave let load lock
    look make match merge migrate note observe open parse pause pick prepare probe prove prune
    publish put raise read rebase reclaim recover redefine refuse release remember remove rename
    render repair replace requeue require reset resize resolve restart restore resume return
    reveal revert rewind rotate run save scan seal select send serve set settle show shrink shut
    skip sort split start stop submit sum swap switch sync take tell thaw trim try turn undo
    unfreeze unmount update upgrade use validate verify wait wake walk warm watch wipe write zero
    """
)


@dataclass(frozen=True, slots=True)
class PublicFunction:
    """A function or method that other modules may call."""

    module: str  # path below the root of the tree
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line} {self.name}"


def is_participle(word: str) -> bool:
    """Whether one word is a past participle."""
    return word in IRREGULAR or (word.endswith("ed") and word not in NOT_PARTICIPLES)


def is_named_by_participle(name: str) -> bool:
    """Whether the name of a function is a past participle, by the rule above."""
    words = name.split("_")
    if words[0] in QUESTIONS or words[0] in VERBS or words[-1] in UNITS:
        return False
    return is_participle(words[0]) or is_participle(words[-1])


def public_functions(root: Path, folder: Path) -> Iterator[PublicFunction]:
    """Functions of modules and methods of classes below ``folder``, without private ones.

    A module or a class whose name begins with an underscore is private, and so is a function inside
    another function. Django's migrations are not ours to name.
    """
    for path in sorted(folder.rglob("*.py")):
        if "migrations" not in path.parts:
            module = str(path.relative_to(root))
            yield from _public(ast.parse(path.read_text(encoding="utf-8")).body, module)


def _public(body: list[ast.stmt], module: str) -> Iterator[PublicFunction]:
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public(node.body, module)
        if isinstance(node, _FUNCTION) and not node.name.startswith("_"):
            yield PublicFunction(module, node.lineno, node.name)
