"""The commands that documents tell people to give, for tests.

- In a block ``console`` a line that begins with ``$`` or ``#`` and a space is a command. The other
  lines are output.
- In a block ``bash`` or ``sh`` every line is a command.
- In a block without a language only lines are read that begin with ``pizarra`` or ``make``, perhaps
  after ``$``.
- A code span that begins with ``pizarra`` is a command. It may leave something out: with ``…``, or
  all arguments, or all but options.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from pizarra.cli.main import app
from tools.command_tree import Command, commands

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.S | re.M)
_SPAN = re.compile(r"`(pizarra [^`]+)`")
_PROMPT = re.compile(r"^[$#] ")
_SHELLS = ("bash", "sh", "console")
PIZARRA: Any = typer.main.get_command(app)
TREE = {one.words: one for one in commands()}
_ENDS = frozenset({"&&", "||", "|", ";", "&"})  # between two commands of a line


@dataclass(frozen=True, slots=True)
class Told:
    """A command as words, and the document that tells it."""

    page: str
    words: tuple[str, ...]
    is_whole: bool = True  # False for one that leaves something out

    @property
    def line(self) -> str:
        """The command as one types it."""
        return shlex.join(self.words)


def read_commands(text: str, page: str = "") -> Iterator[Told]:
    """All commands of a document: those of blocks, in order, then those of its sentences."""
    yield from read_blocks(text, page)
    yield from read_spans(text, page)


def read_blocks(text: str, page: str = "") -> Iterator[Told]:
    """The commands of the blocks of a document, in order."""
    for language, block in _FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if command := _command_of(line, language):
                yield from (Told(page, words) for words in _split(command))


def read_spans(text: str, page: str = "") -> Iterator[Told]:
    """The commands of ours that the sentences and tables of a document name."""
    for span in _SPAN.findall(_FENCE.sub("", text)):
        said, *left_out = re.split(r"…|\.\.\.", span)
        words = tuple(shlex.split(said))
        _, rest = find_command(words)
        yield Told(page, words, not left_out and bool(rest) and not rest[0].startswith("-"))


def _command_of(line: str, language: str) -> str:
    """What of a line is typed; empty for output, comments and what is no shell."""
    if language == "console":
        return _PROMPT.sub("", line) if _PROMPT.match(line) else ""
    if language in _SHELLS:
        return line
    bare = line.removeprefix("$ ")
    return bare if not language and bare.startswith(("pizarra ", "make ")) else ""


def _split(line: str) -> Iterator[tuple[str, ...]]:
    """The commands of a line; a comment at its end is left out."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.wordchars += "*[]?:,@%+!{}$"
    for is_end, words in groupby(lexer, lambda word: word in _ENDS):
        if not is_end:
            yield tuple(words)


def parse_command(words: tuple[str, ...]) -> None:
    """Parse a command as ``pizarra`` does, and run nothing. Raises click's UsageError, and Exit for
    an option that ends at once, such as ``--help``."""
    command, arguments = PIZARRA, list(words[1:])
    name: str | None = words[0]
    context: Any = None
    while True:
        context = command.make_context(name, arguments, parent=context)
        if not isinstance(command, TyperGroup):
            return
        rest = [*getattr(context, "_protected_args", ()), *context.args]
        name, command, arguments = command.resolve_command(context, rest)


def find_command(words: tuple[str, ...]) -> tuple[Command, tuple[str, ...]]:
    """The command that words begin with, and what stands after its name."""
    count = next(n for n in (2, 1, 0) if words[1 : 1 + n] in TREE)
    found, rest = TREE[words[1 : 1 + count]], words[1 + count :]
    is_unknown = found.subcommands and rest and not rest[0].startswith("-")
    assert not is_unknown, f"pizarra has no such command: {shlex.join(words)}"
    return found, rest


def documents() -> list[Path]:
    """The documents with commands, as paths from the root of the repository."""
    root = Path(__file__).parents[2]
    names = ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md")
    pages = [*(root / name for name in names), *(root / "docs").rglob("*.md")]
    return sorted(page.relative_to(root) for page in pages)
