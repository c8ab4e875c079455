"""Groups of commands that are imported when they are called, so that each command starts quickly.

A command that the table declares and for which nobody has written a function of its own is made
from its entry (``generated.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from pizarra.errors import BadInput

SETTINGS = {"help_option_names": ["-h", "--help"]}


class TableGroup(TyperGroup):
    """``pizarra classroom``: its own commands, and those of the table that it has no function for.

    ``noun`` is the word before the commands; empty for ``pizarra`` itself.
    """

    noun = ""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One command; nothing that it does not need is imported."""
        return super().get_command(ctx, cmd_name) or self.generate(cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        """All of them: this imports the whole table."""
        return [*super().list_commands(ctx), *self.missing()]

    def missing(self) -> list[str]:
        """The commands of the table that nobody has written a function for."""
        from pizarra.service.commands.table import all_commands

        names = (one.name for one in all_commands())
        own = {**self.commands}
        return [word for name in names if (word := self._word(name)) and word not in own]

    def generate(self, word: str) -> Any:
        """A command made from its entry in the table."""
        from pizarra.cli.generated import function_of
        from pizarra.service.commands.table import find_command

        name = f"{self.noun} {word}".strip()
        try:
            found = find_command(name)
        except BadInput:
            return None
        return command_of(function_of(found), word)

    def _word(self, name: str) -> str:
        noun, _, word = name.rpartition(" ")
        return word if noun == self.noun else ""


def command_of(function: Callable[..., Any], name: str) -> Any:
    """Make a command of a function."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=SETTINGS)
    app.command(name)(function)
    return typer.main.get_command(app)


def group(text: str, noun: str = "") -> typer.Typer:
    """An empty group for the commands of a noun; ``text`` is its help."""
    kind = type("Group", (TableGroup,), {"noun": noun})
    return typer.Typer(
        cls=kind,
        help=text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        context_settings=SETTINGS,
    )
