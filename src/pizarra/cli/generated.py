"""A command line for an entry of the table that nobody has written one for.

Arguments that the model requires, and the list of seats, have places; the others are options.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Annotated, Any, Union, get_args, get_origin

import typer

from pizarra.cli.ask import ask
from pizarra.cli.documents import finish, report_of, sentence, show
from pizarra.cli.options import Json, Wait, Yes, check_seats
from pizarra.cli.output import confirm, reporting_errors
from pizarra.cli.words import _
from pizarra.model.sentence import P_
from pizarra.service.commands.declaration import Command, Effect

_SEATS = "seats"


def function_of(command: Command) -> Callable[..., None]:
    """A function for typer. Its signature comes from the command's model, its help from the
    command."""

    def function(*, as_json: bool, wait: float = 0, yes: bool = False, **given: Any) -> None:
        if isinstance(given.get(_SEATS), str):
            with reporting_errors(as_json=as_json):
                check_seats(given[_SEATS])
        if Effect.DESTROYS in command.effects:
            confirm(_("Really: {command}?").format(command=command.name), yes=yes)
        _show(ask(command.name, given, as_json=as_json, wait_s=wait), as_json=as_json)

    parameters = _parameters(command)
    function.__doc__ = command.help
    function.__annotations__ = {one.name: one.annotation for one in parameters}
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return function


def _show(document: Any, *, as_json: bool) -> None:
    if not isinstance(document, dict) or not isinstance(document.get("seats"), list):
        show(document, as_json=as_json)
        return
    report = report_of(document)
    forms = P_(
        "{n} of {total} machine done in {s:.1f} s.", "{n} of {total} machines done in {s:.1f} s."
    )
    finish(report, sentence(report, *forms), as_json=as_json)


def _parameters(command: Command) -> list[inspect.Parameter]:
    found = [
        _parameter(name, _plain(one.annotation), one.description or "", one.default)
        for name, one in command.arguments.model_fields.items()
    ]
    more: list[tuple[str, Any, Any]] = [("as_json", Json, False)]
    if not command.is_question:
        more.insert(0, ("wait", Wait, 0))
    if Effect.DESTROYS in command.effects:
        more.insert(0, ("yes", Yes, False))
    return found + [_keyword(name, kind, default) for name, kind, default in more]


def _parameter(name: str, kind: Any, text: str, default: Any) -> inspect.Parameter:
    from pydantic_core import PydanticUndefined

    required = default is PydanticUndefined
    is_placed = required or name == _SEATS
    place = (
        typer.Argument(help=text, metavar=name.upper()) if is_placed else typer.Option(help=text)
    )
    marked: Any = Annotated[kind, place]
    return _keyword(name, marked, inspect.Parameter.empty if required else default)


def _keyword(name: str, kind: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)


def _plain(kind: Any) -> Any:
    """A type without the model's annotations: ``Annotated[str, …] | None`` becomes ``str |
    None``."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        inner = [_plain(one) for one in get_args(kind) if one is not type(None)]
        return inner[0] | None
    return kind
