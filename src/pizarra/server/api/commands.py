"""The operations that the table of commands declares, each with its rule, scope and model.

A question is answered at once; what changes a host is a job and is answered with 202. What people
have to do with an answer (whose classrooms, who sits where) is added by a function of ``ANSWERS``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpRequest
from ninja import NinjaAPI, Query, Schema
from ninja.responses import Status
from pydantic import BaseModel, ConfigDict, create_model

from pizarra.server import commands
from pizarra.server.api import shapes
from pizarra.server.api.answers import ANSWERS
from pizarra.server.api.callers import rule, user_of
from pizarra.server.jobs.models import Job
from pizarra.server.people.models import Scope
from pizarra.service.commands.declaration import Command, Route
from pizarra.service.commands.table import all_commands

_KEY_LENGTH_MOST = 80
Operation = Callable[..., Any]


def add_commands(api: NinjaAPI) -> None:
    """One operation for each command, and one for each plan."""
    for command in all_commands():
        operation = _question(command) if command.is_question else _job(command)
        response: Any = {200: Any} if command.is_question else {202: shapes.JobOut}
        _add(api, command, command.route, operation, command.operation_id, response)
        if command.plan_route is not None:
            name = f"{command.operation_id}_plan"
            _add(api, command, command.plan_route, _plan(command), name, {200: Any})


def key_of(request: HttpRequest) -> str:
    """The idempotency key of a request; empty when it has none."""
    return request.headers.get("Idempotency-Key", "")[:_KEY_LENGTH_MOST]


def _question(command: Command) -> Operation:
    def operation(request: HttpRequest, **given: Any) -> Any:
        user, arguments = user_of(request), _arguments(given)
        answer = partial(commands.ask, user, command.name, arguments)
        with_people = ANSWERS.get(command.name)
        return answer() if with_people is None else with_people(user, arguments, answer)

    return operation


def _plan(command: Command) -> Operation:
    def operation(request: HttpRequest, **given: Any) -> Any:
        return commands.ask(user_of(request), command.name, _arguments(given), dry_run=True)

    return operation


def _job(command: Command) -> Operation:
    def operation(request: HttpRequest, **given: Any) -> Status[Job]:
        user, key = user_of(request), key_of(request)
        arguments = _arguments(given)
        job = commands.submit(user, command.name, arguments, request=request, key=key)
        return Status(202, job)

    return operation


def _arguments(given: dict[str, Any]) -> dict[str, Any]:
    wish: BaseModel | None = given.pop("wish", None)
    return (wish.model_dump(exclude_unset=True) if wish is not None else {}) | given


def _add(
    api: NinjaAPI,
    command: Command,
    route: Route,
    operation: Operation,
    name: str,
    response: Any,
) -> None:
    parameters = {"request": HttpRequest, **dict.fromkeys(route.names, str)}
    needed = [inspect.Parameter(one, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kind)
              for one, kind in parameters.items()]  # fmt: skip
    model = _model(command, route)
    if model is not None:
        needed.append(_wish(model, in_query=route.method in ("GET", "DELETE")))
    operation.__name__ = name
    operation.__doc__ = command.help
    operation.__annotations__ = {one.name: one.annotation for one in needed}
    operation.__signature__ = inspect.Signature(needed)  # type: ignore[attr-defined]
    checked = rule(commands.rule_of_command(command), Scope(command.scope))(operation)
    first, _, _ = command.help.strip().partition("\n\n")
    api.default_router.add_api_operation(
        route.path,
        [route.method],
        checked,
        response=response,
        operation_id=name,
        summary=" ".join(first.split()),
        description=inspect.cleandoc(command.help),
    )


def _model(command: Command, route: Route) -> type[Schema] | None:
    """The arguments that do not stand in the path. What the model does not know is passed over."""
    fields: dict[str, Any] = {
        name: (one.rebuild_annotation(), one)
        for name, one in command.arguments.model_fields.items()
        if name not in route.names
    }
    if not fields:
        return None
    title = "".join(word.capitalize() for word in command.operation_id.split("_"))
    made: type[Schema] = create_model(
        f"{title}In", __base__=Schema, __doc__=command.arguments.__doc__, **fields
    )
    made.model_config = ConfigDict(**{**made.model_config, "extra": "ignore"})
    return made


def _wish(model: type[Schema], *, in_query: bool) -> inspect.Parameter:
    query: Any = Query  # ``Query[model]`` is ninja's way to say it, and no generic class
    annotation: Any = query[model] if in_query else model
    optional = all(not one.is_required() for one in model.model_fields.values())
    default: Any = inspect.Parameter.empty if in_query or not optional else None
    if default is None:
        annotation = model | None  # a request without a body is one with an empty body
    return inspect.Parameter(
        "wish", inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default
    )
