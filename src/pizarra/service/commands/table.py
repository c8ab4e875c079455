"""The table of all commands, and how one is found by its name."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pizarra.errors import BadInput
from pizarra.service.commands.declaration import Command

NOUNS = ("seats", "classroom", "checkpoint", "template", "host")  # one module each
_WITHOUT_NOUN = ("seats", "host")  # ``reset net``, ``recover``


def all_commands() -> tuple[Command, ...]:
    """Every command, by noun and in the order in which its module declares it."""
    return tuple(one for noun in NOUNS for one in _commands_of(noun))


def find_command(name: str) -> Command:
    """Import no more than its noun's module. Raises BadInput for a name that no command has."""
    noun, has_noun, _ = name.partition(" ")
    for module in (noun,) if has_noun and noun in NOUNS else _WITHOUT_NOUN:
        for one in _commands_of(module):
            if one.name == name:
                return one
    raise BadInput("There is no command {name!r}.", "See: pizarra commands", name=name)


def to_json() -> dict[str, Any]:
    """As ``pizarra commands --json`` prints the table."""
    return {"commands": [one.to_json() for one in all_commands()]}


def _commands_of(noun: str) -> list[Command]:
    module = import_module(f"pizarra.service.commands.{noun}")
    return [one for one in vars(module).values() if isinstance(one, Command)]
