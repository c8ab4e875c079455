"""What a command is. The decorator ``command`` makes one of a handler."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError

from pizarra.errors import BadInput
from pizarra.model.sentence import N_
from pizarra.service.context import Context
from pizarra.system.refusals import reporting_refusals

Document = Any  # what ``--json`` prints: a dictionary or a list
A = TypeVar("A", bound="Arguments")


class Arguments(BaseModel):
    """The arguments of a command. A name that the command does not know is refused."""

    # deferred: a command line needs the models of one command, not of all in its module
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    def facts(self) -> dict[str, Any]:
        """For the audit: what was given, without what is secret (``writeOnly`` in the schema)."""
        secret = {
            name
            for name, one in type(self).model_fields.items()
            if isinstance(one.json_schema_extra, dict) and one.json_schema_extra.get("writeOnly")
        }
        return self.model_dump(mode="json", exclude=secret, exclude_defaults=True)


class Who(StrEnum):
    """The least role that may ask for a command. Root on the host may ask for all of them."""

    STUDENT = N_("student")
    TEACHER = N_("teacher")  # where the command names a classroom: a teacher of that classroom
    TECHNICIAN = N_("technician")


class Scope(StrEnum):
    """What a token must be good for."""

    READ = "read"
    OPERATE = "operate"
    MANAGE = "manage"


class Effect(StrEnum):
    """What a command does beside its work on the host; the server and the command line act on it.

    A command without ``RUNS_AS_JOB`` is a question: it changes nothing and is answered at once.
    """

    RUNS_AS_JOB = "runs_as_job"
    DESTROYS = "destroys"  # a terminal asks first
    RELEASES_CONSOLES = "releases_consoles"  # whoever looks at these seats must ask again
    STARTS_LESSON = "starts_lesson"  # from now on the classroom's limit of time counts
    ADDS_CLASSROOM = "adds_classroom"  # whoever asks is the classroom's teacher
    REMOVES_CLASSROOM = "removes_classroom"
    TAKES_UPLOAD = "takes_upload"  # ``upload`` must be whole, and of whoever asks
    SHOWS_MESSAGE = "shows_message"  # students read ``message`` until they go on
    HIDES_MESSAGE = "hides_message"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where the REST API has a command, below ``/api/v1``. ``{classroom}`` is an argument."""

    method: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Route:
        """``POST /classrooms/{classroom}/verbs/start``."""
        method, _, path = text.partition(" ")
        return cls(method=method, path=path)

    @property
    def names(self) -> tuple[str, ...]:
        """The arguments that stand in the path."""
        return tuple(re.findall(r"{(\w+)}", self.path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One entry of the table. Calling it checks the arguments and does the work."""

    name: str  # as the command line says it: ``classroom create``
    arguments: type[Arguments]
    handler: Callable[[Context, Any], Document]
    who: Who
    scope: Scope
    effects: frozenset[Effect]
    route: Route
    help: str  # what it does, then an example
    plan: Callable[[Context, Any], Document] | None = None  # what it would do now: ``--dry-run``
    plan_route: Route | None = None  # where the REST API has the plan

    def __call__(
        self, context: Context, arguments: Mapping[str, Any], *, dry_run: bool = False
    ) -> Document:
        """Raises PizarraError; BadInput names the argument that cannot be used."""
        wish = self.parse(arguments)
        with reporting_refusals():
            if not dry_run:
                return self.handler(context, wish)
            if self.plan is None:
                raise BadInput("The command {command} has no plan to show.", command=self.name)
            return self.plan(context, wish)

    def parse(self, arguments: Mapping[str, Any]) -> Arguments:
        """Raises BadInput naming the argument that cannot be used."""
        try:
            return self.arguments.model_validate(dict(arguments))
        except ValidationError as error:
            first = error.errors()[0]
            raise BadInput(
                "The argument {argument} of {command} cannot be used: {why}.",
                "See: pizarra {command} --help",
                argument=".".join(map(str, first["loc"])) or "-",
                command=self.name,
                why=first["msg"],
            ) from None

    @property
    def is_question(self) -> bool:
        """Whether it is answered at once and changes nothing."""
        return Effect.RUNS_AS_JOB not in self.effects

    @property
    def operation_id(self) -> str:
        """Its name in the description of the API: ``classroom_create``."""
        return self.name.replace(" ", "_").replace("-", "_")

    def to_json(self) -> dict[str, Any]:
        """As ``pizarra commands --json`` has it."""
        return {
            "name": self.name,
            "arguments": self.arguments.model_json_schema(),
            "effects": sorted(map(str, self.effects)),
            "who": str(self.who),
        }


def command(
    name: str,
    *,
    who: Who,
    scope: Scope,
    route: str,
    effects: tuple[Effect, ...] = (),
    plan: Callable[[Context, A], Document] | None = None,
    plan_route: str = "",
) -> Callable[[Callable[[Context, A], Document]], Command]:
    """Make an entry of a handler; its docstring is the help, its second argument the model.

    ``route`` is ``POST /classrooms/{classroom}/verbs/start``.
    """

    def declare(handler: Callable[[Context, A], Document]) -> Command:
        return Command(
            name=name,
            arguments=get_type_hints(handler)["wish"],
            handler=handler,
            who=who,
            scope=scope,
            effects=frozenset(effects),
            route=Route.parse(route),
            help=handler.__doc__ or "",
            plan=plan,
            plan_route=Route.parse(plan_route) if plan_route else None,
        )

    return declare
