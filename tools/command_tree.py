"""The commands of the CLI as plain values, for man pages and shell completion."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer

from pizarra.cli.main import app

NAME = "pizarra"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option or an argument: its names (`--seats`), what its value is called, its help."""

    names: tuple[str, ...]
    value: str
    choices: tuple[str, ...]
    help: str
    is_argument: bool
    is_required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command or group: `words` are what one types after `pizarra`."""

    words: tuple[str, ...]
    summary: str
    paragraphs: tuple[str, ...]
    examples: tuple[str, ...]
    options: tuple[Option, ...]
    subcommands: tuple[str, ...]

    @property
    def page(self) -> str:
        """The name of its man page."""
        return "-".join((NAME, *self.words))


def commands() -> list[Command]:
    """All commands, the program itself first, each group before its commands."""
    return list(_walk(typer.main.get_command(app), ()))


def _walk(command: Any, words: tuple[str, ...]) -> Iterator[Command]:
    children = dict(getattr(command, "commands", {}))
    paragraphs, examples = _split_help(command.help or "")
    yield Command(
        words=words,
        summary=paragraphs[0] if paragraphs else "",
        paragraphs=paragraphs,
        examples=examples,
        options=tuple(_option(param) for param in command.params),
        subcommands=tuple(children),
    )
    for name, child in children.items():
        yield from _walk(child, (*words, name))


def _split_help(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Paragraphs, and the commands of those that begin with `Example:`."""
    parts = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()) if part.strip()]
    examples = tuple(p.partition(":")[2].strip() for p in parts if p.startswith("Example:"))
    return tuple(p for p in parts if not p.startswith("Example:")), examples


def _option(param: Any) -> Option:
    """Of a parameter of typer's, whose classes are not public."""
    is_argument = param.param_type_name == "argument"
    is_flag = bool(getattr(param, "is_flag", False))
    value = "" if is_flag else (param.metavar or param.name.upper().rstrip("_"))
    name = (param.metavar or param.name).strip("[]{}.… ")
    return Option(
        names=(name.upper(),) if is_argument else (*param.opts, *param.secondary_opts),
        value=value,
        choices=tuple(value.split("|")) if "|" in value else (),
        help=" ".join((param.help or "").split()),
        is_argument=is_argument,
        is_required=param.required,
    )
