"""Functions of the command line that stand for commands of the table take their help from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pizarra.service.commands.table import find_command

F = TypeVar("F", bound=Callable[..., None])


def declared(name: str) -> Callable[[F], F]:
    """Give a function the help of the command ``name``."""

    def give_help(function: F) -> F:
        function.__doc__ = find_command(name).help
        return function

    return give_help
