"""Commands of the table that a user asks for. The API and the pages both come in here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from pizarra.errors import BadInput
from pizarra.server.hosts import host
from pizarra.server.jobs.effects import before_job
from pizarra.server.jobs.models import Job
from pizarra.server.jobs.pump import rank_of
from pizarra.server.jobs.queue import enqueue
from pizarra.server.people.models import User
from pizarra.server.permissions import Rule, meant_id
from pizarra.service.commands.declaration import Command, Who
from pizarra.service.commands.table import find_command


def rule_of_command(command: Command) -> Rule:
    """The rule of a command's operation."""
    if command.who is Who.STUDENT:
        return Rule.SIGNED_IN
    if command.who is Who.TECHNICIAN:
        return Rule.TECHNICIAN
    return Rule.ROOM_TEACHER if "classroom" in command.route.names else Rule.STAFF


def submit(
    user: User,
    name: str,
    arguments: Mapping[str, Any],
    *,
    request: HttpRequest | None = None,
    key: str = "",
) -> Job:
    """Queue a command, and return its job. The caller has checked the rule. Raises BadInput,
    KeyReused, TooManyJobs."""
    command = find_command(name)
    check_text(arguments)
    wish = command.parse(arguments)
    before_job(user, command, wish)
    return enqueue(user, command, wish, request=request, key=key)


def check_text(value: object) -> None:
    """Raises BadInput for text that no database keeps: a NUL, or half of a surrogate pair."""
    if isinstance(value, Mapping):
        for one in value.values():
            check_text(one)
    elif isinstance(value, list | tuple):
        for one in value:
            check_text(one)
    elif isinstance(value, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
        raise BadInput("A text has a character that cannot be kept: {text!a}.", text=value)


def ask(
    user: User, name: str, arguments: Mapping[str, Any] | None = None, *, dry_run: bool = False
) -> Any:
    """The answer to a question, or the plan of a command. Raises HostRefused, HostNotFit."""
    wish = find_command(name).parse(arguments or {})
    classroom_id = meant_id(user, str(getattr(wish, "classroom", "")))
    return host().query(
        name,
        wish.model_dump(mode="json"),
        rank_of(user),
        dry_run=dry_run,
        classroom_id=classroom_id,
    )
