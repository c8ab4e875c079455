"""The same verbs on a server elsewhere: ``pizarra --server URL --token TOKEN reset net``.

A command that is ``remotely`` so is asked of the server's API when one is named, follows what it
tells, and ends as it does on the host itself.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

import typer

from pizarra import errors
from pizarra.cli.output import err, out, print_json, print_table, reporting_errors, showing_progress
from pizarra.cli.plan import show_plan
from pizarra.cli.words import _
from pizarra.engine.events import Emit, Settled
from pizarra.errors import BadInput, HostNotFit, PizarraError
from pizarra.model.names import parse_seat_numbers
from pizarra.model.outcome import Outcome, Report, SeatOutcome

SERVER, TOKEN = "PIZARRA_SERVER", "PIZARRA_TOKEN"
_PATIENCE_S = 60.0  # between two words of the server
Command = TypeVar("Command", bound=Callable[..., None])


class Server:
    """The API of one."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise BadInput("{url!r} is no server.", "Say --server https://pizarra.example.org",
                           url=url)  # fmt: skip
        if not token:
            raise BadInput("A server asks for a token.",
                           "Make one on its page, then: --token or PIZARRA_TOKEN.")  # fmt: skip
        if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            err.print(_("Without https, whoever listens on the way can use your token too."))
        self.base = url.rstrip("/") + "/api/v1"
        self.token = token

    def get(self, path: str) -> Any:
        """A document."""
        with self._answer(Request(self.base + path)) as answer:
            return self._document(answer)

    def report(self, path: str, body: Mapping[str, Any], emit: Emit) -> Report:
        """Have it done, tell what it tells meanwhile, and give what became of it."""
        data = json.dumps({key: value for key, value in body.items() if value is not None})
        kind = {"Content-Type": "application/json"}
        request = Request(self.base + path, data.encode(), kind)
        with self._answer(request) as answer:
            job = self._document(answer)
        for event, told in self._events(f"/jobs/{job['id']}/events"):
            if event == "told" and told.get("event") == "settled":
                emit(Settled(outcome=_outcome(told)))
            elif event == "ended":
                return _ended(told)
        raise HostNotFit("{server} stopped telling before the end.", "See its page of jobs.",
                         server=self.base)  # fmt: skip

    def _document(self, answer: Any) -> Any:
        try:
            return json.load(answer)
        except ValueError:
            raise HostNotFit(
                "{server} answers, but not as Pizarra does.",
                "Is the address right? It is that of the dashboard.",
                server=self.base,
            ) from None

    def _events(self, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        with self._answer(Request(self.base + path)) as answer:
            event = ""
            for line in answer:
                key, _colon, value = line.decode().rstrip("\n").partition(": ")
                if key == "event":
                    event = value
                elif key == "data":
                    yield event, json.loads(value)

    def _answer(self, request: Request) -> Any:
        request.add_header("Authorization", f"Bearer {self.token}")
        try:
            return urlopen(request, timeout=_PATIENCE_S)
        except HTTPError as error:
            raise _refused(error) from None
        except (URLError, HTTPException, OSError) as error:
            raise HostNotFit(
                "{server} does not answer: {why}.",
                "Is the address right, and `pizarra serve` running there?",
                server=self.base,
                why=getattr(error, "reason", error),
            ) from None


def _refused(error: HTTPError) -> PizarraError:
    try:
        told = json.loads(error.read())
        said, hint = str(told["detail"]), str(told.get("hint") or "")
    except (ValueError, KeyError, TypeError):
        said, hint = str(error), ""
    kinds = {409: errors.Busy, 503: HostNotFit, 507: errors.NoSpace, 404: errors.NotFound}
    kind = kinds.get(error.code, BadInput if error.code < 500 else PizarraError)
    return kind("{said}", "{hint}" if hint else "", said=said, hint=hint)


def _ended(job: Mapping[str, Any]) -> Report:
    if problem := job.get("error"):
        kind = getattr(errors, str(problem.get("error")), PizarraError)
        hint = str(problem.get("hint") or "")
        raise kind("{said}", "{hint}" if hint else "", said=problem.get("says"), hint=hint)
    return report_of(job["result"])


def report_of(document: Mapping[str, Any]) -> Report:
    """The contract's document, read back."""
    known = ("classroom", "verb", "mode", "elapsed_s", "seats")
    return Report(
        **{key: document[key] for key in known[:-1]},
        seats=tuple(_outcome(one) for one in document["seats"]),
        extra={key: value for key, value in document.items() if key not in known},
    )


def _outcome(told: Mapping[str, Any]) -> SeatOutcome:
    known = ("seat", "outcome", "reason", "verified", "timings_ms")
    spoken = ("event", "reason_in", "no_undo_in")
    return SeatOutcome(
        seat=told["seat"],
        outcome=Outcome(told["outcome"]),
        reason=told.get("reason"),
        verified=told.get("verified"),
        timings_ms=told.get("timings_ms") or {},
        extra={key: value for key, value in told.items() if key not in (*known, *spoken)},
    )


def server_from_options() -> Server | None:
    """The server that --server or PIZARRA_SERVER names."""
    url = os.environ.get(SERVER, "")
    return Server(url, os.environ.get(TOKEN, "")) if url else None


Answer = Report | list[dict[str, Any]] | dict[str, Any]  # the last is the plan of a reset
Ask = Callable[[Server, dict[str, Any], Emit], Answer]


def remotely(ask: Ask) -> Callable[[Command], Command]:
    """The command is asked of a server when there is one; ``ask`` gets its arguments by name."""

    def made(command: Command) -> Command:
        @wraps(command)
        def here_or_there(**arguments: Any) -> None:
            as_json = bool(arguments.get("as_json"))
            with reporting_errors(as_json=as_json):
                server = server_from_options()
            if server is None:
                command(**arguments)
                return
            with reporting_errors(as_json=as_json), showing_progress(quiet=as_json) as emit:
                answer = ask(server, arguments, emit)
            _shown(answer, as_json=as_json)

        return here_or_there  # type: ignore[return-value]

    return made


def _shown(answer: Answer, *, as_json: bool) -> None:
    if isinstance(answer, Report):
        if as_json:
            print_json(answer.to_json())
        else:
            text = _("{n} of {total} done in {s:.1f} s.")
            well = answer.count(Outcome.DONE, Outcome.UNCHANGED)
            out.print(text.format(n=well, total=len(answer.seats), s=answer.elapsed_s))
        raise typer.Exit(answer.exit_status)
    if isinstance(answer, dict):
        show_plan(answer, as_json=as_json)
    elif as_json:
        print_json(answer)
    else:
        keys = [key for key, value in (answer[0] if answer else {}).items() if _is_short(value)][:6]
        print_table(keys, [[str(one.get(key, "")) for key in keys] for one in answer])


def _is_short(value: object) -> bool:
    return not isinstance(value, list | dict)


def only_here() -> None:
    """For commands that no server answers: never done to this host instead. Raises BadInput."""
    if os.environ.get(SERVER):
        raise BadInput(
            "This command is for the host itself.",
            "Run it there, without --server (or the variable {name}).",
            name=SERVER,
        )


def without_token(argv: Sequence[str]) -> list[str]:
    """What was typed, for the flight record: no secret is in it."""
    shown = [re.sub(r"^--token=.*", "--token=…", word) for word in argv]
    return ["…" if shown[n - 1 : n] == ["--token"] else word for n, word in enumerate(shown)]


# ---- what each command asks


def verb(name: str, *keys: str) -> Ask:
    """A verb over the seats of a classroom; ``keys`` are its other arguments that count."""

    def ask(server: Server, told: dict[str, Any], emit: Emit) -> Answer:
        more = {key: told.get(key) for key in keys}
        if told.get("to_start") or told.get("to_off"):
            more["after"] = "running" if told.get("to_start") else "off"
        body = {"seats": told.get("seats"), **more}
        room = f"/classrooms/{quote(told['classroom'])}"
        if told.get("dry_run"):
            asked = {key: str(value) for key, value in body.items() if value is not None}
            plan: dict[str, Any] = server.get(f"{room}/plan?{urlencode(asked)}")
            return plan
        return server.report(f"{room}/verbs/{name}", body, emit)

    return ask


def checkpoint(act: str = "", keys: Sequence[str] = ()) -> Ask:
    """Something with a checkpoint of a classroom."""

    def ask(server: Server, told: dict[str, Any], emit: Emit) -> Report:
        path = f"/classrooms/{quote(told['classroom'])}/checkpoints/{quote(told['name'])}{act}"
        body = {key: told.get(key) for key in ("seats", *keys)}
        return server.report(path, body, emit)

    return ask


def status(server: Server, told: dict[str, Any], emit: Emit) -> Report:
    """Of all seats, or of those named."""
    _ = emit
    report = report_of(server.get(f"/classrooms/{quote(told['classroom'])}"))
    if told.get("seats") is None:
        return report
    wanted = set(parse_seat_numbers(told["seats"]))
    seats = tuple(one for one in report.seats if one.extra.get("number") in wanted)
    return replace(report, seats=seats)


def list_of(path: str) -> Ask:
    """A list of documents."""

    def ask(server: Server, told: dict[str, Any], emit: Emit) -> list[dict[str, Any]]:
        _ = emit
        known = {key: quote(str(value)) for key, value in told.items()}
        found: list[dict[str, Any]] = server.get(path.format(**known))
        return found

    return ask
