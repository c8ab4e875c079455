"""The questions of the protocol, parsed at the door: what comes in is of the unprivileged side."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pizarra.errors import BadInput
from pizarra.model.policy import ResetBy

_SEATS_MAX = 10_000
_Number = Annotated[int, Field(ge=0, le=_SEATS_MAX)]
_Arguments = dict[str, Any]  # each command has a model of its own for them


class _Question(BaseModel):
    model_config = ConfigDict(frozen=True)


class Query(_Question):
    """A question to a command, or the plan of one."""

    ask: Literal["query"]
    command: str
    arguments: _Arguments
    by: ResetBy
    dry_run: bool = False
    classroom_id: str = ""


class Submit(_Question):
    """Begin a job. A descriptor may come with it."""

    ask: Literal["submit"]
    job: str = Field(max_length=100)
    command: str
    arguments: _Arguments
    by: ResetBy
    classroom_id: str = ""


class Events(_Question):
    """How far a job is."""

    ask: Literal["events"]
    job: str
    since: int = Field(ge=0)
    wait_s: float = Field(0, ge=0, allow_inf_nan=False)


class RecordActivity(_Question):
    """Somebody is active on a seat."""

    ask: Literal["record_activity"]
    classroom: str
    number: _Number


class Activity(_Question):
    """When somebody was active last."""

    ask: Literal["activity"]
    classroom: str
    numbers: list[_Number] = Field(max_length=_SEATS_MAX)


class Halt(_Question):
    """Why the guard paused a machine."""

    ask: Literal["halt"]
    classroom: str
    number: _Number


class Screenshot(_Question):
    """A picture of a screen. Its bytes follow the answer."""

    ask: Literal["screenshot"]
    classroom: str
    number: _Number
    classroom_id: str = ""


class File(_Question):
    """A file that a command exported. Its bytes follow the answer."""

    ask: Literal["file"]
    name: str


class Console(_Question):
    """The console of a machine. A descriptor comes with the answer."""

    ask: Literal["console"]
    classroom: str
    number: _Number
    classroom_id: str = ""


Question = Query | Submit | Events | RecordActivity | Activity | Halt | Screenshot | File | Console
_PARSER: TypeAdapter[Question] = TypeAdapter(Annotated[Question, Field(discriminator="ask")])


def parse_question(line: bytes) -> Question:
    """A question, from its line of JSON. Raises BadInput."""
    try:
        return _PARSER.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(
            "The question cannot be understood: {why}.", why=f"{where} {first['msg']}".strip()
        ) from None
