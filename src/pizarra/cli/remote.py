"""Commands on a server elsewhere: ``pizarra --server URL --token TOKEN reset net``.

The table of commands says where the server's API has a command. A job is followed to its end, and
its document is the one that the host itself would give.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

from pizarra.cli.documents import outcome_of
from pizarra.cli.output import err
from pizarra.cli.words import _
from pizarra.engine.events import Advanced, Began, Emit, Event, Noted, Settled
from pizarra.errors import (
    BadInput,
    Forbidden,
    HostNotFit,
    NoSpace,
    NotFound,
    PizarraError,
    class_of,
)
from pizarra.model.sentence import N_, Translated

if TYPE_CHECKING:
    from pizarra.service.commands.declaration import Command

_PATIENCE_S = 60.0  # between two words of the server
_PIECE_BYTES = 1 << 20


class Server:
    """The API of a server."""

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

    def ask(
        self, command: Command, arguments: Mapping[str, Any], emit: Emit, *, dry_run: bool = False
    ) -> Any:
        """The document of a command, or its plan; what a job emits goes to ``emit``.

        Raises PizarraError with the code of the server's error.
        """
        route = command.plan_route if dry_run and command.plan_route else command.route
        left = dict(arguments)
        path = route.path
        for name in route.names:
            path = path.replace("{" + name + "}", quote(str(left.pop(name)), safe=""))
        if route.method in ("GET", "DELETE"):
            query = urlencode(left, doseq=True)
            answer = self.request(route.method, path + (f"?{query}" if query else ""))
        else:
            answer = self.request(route.method, path, left)
        if command.is_question or dry_run:
            return restore_sentences(answer)
        return self._follow(answer["id"], emit)

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send a request, and return its document."""
        data = None if body is None else json.dumps(body, default=str).encode()
        kind = {} if data is None else {"Content-Type": "application/json"}
        with self._answer(Request(self.base + path, data, kind, method=method)) as answer:
            return self._document(answer)

    def upload(self, file: Path, emit: Emit) -> str:
        """Send an image piece by piece; the id of the upload. Raises BadInput."""
        try:
            return self._upload(file, emit)
        except OSError as error:
            why = error.strerror or error
            raise BadInput("{path} cannot be read: {why}.", path=file, why=why) from None

    def _upload(self, file: Path, emit: Emit) -> str:
        size_bytes = file.stat().st_size
        upload = self.request("POST", "/uploads", {"size_bytes": size_bytes})
        emit(Began(what=N_("upload"), total=size_bytes, unit="bytes"))
        kind = {"Content-Type": "application/octet-stream"}
        with file.open("rb") as image:
            while piece := image.read(int(upload["piece_bytes"])):
                path = f"/uploads/{upload['id']}?offset={image.tell() - len(piece)}"
                request = Request(self.base + path, piece, kind, method="PUT")
                with self._answer(request) as answer:
                    self._document(answer)
                emit(Advanced(what="upload", done=image.tell()))
        return str(upload["id"])

    def download(self, name: str, target: Path) -> None:
        """A file that a command exported. Raises BadInput when ``target`` is there."""
        request = Request(f"{self.base}/exports/{quote(name)}")
        try:
            with self._answer(request) as answer, target.open("xb") as file:
                while piece := answer.read(_PIECE_BYTES):
                    file.write(piece)
        except FileExistsError:
            raise BadInput("{path} is there already.", "Name another one.", path=target) from None
        except OSError as error:
            why = error.strerror or error
            raise BadInput("{path} cannot be written: {why}.", path=target, why=why) from None

    def download_report(self, target: Path, emit: Emit) -> Path:
        """`pizarra report` of the server's host. Raises BadInput when ``target`` is there."""
        from pizarra.service.commands.table import find_command

        document = self.ask(find_command("report"), {}, emit)
        self.download(Path(document["report"]).name, target)
        return target

    def _follow(self, job: str, emit: Emit) -> Any:
        for event, told in self._events(f"/jobs/{job}/events"):
            if event == "told":
                if (known := _event(told)) is not None:
                    emit(known)
            elif event == "ended":
                if problem := told.get("error"):
                    raise _error(problem, PizarraError)
                return restore_sentences(told["result"])
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
            raise _refusal(error) from None
        except (URLError, HTTPException, OSError) as error:
            raise HostNotFit(
                "{server} does not answer: {why}.",
                "Is the address right, and `pizarra serve` running there?",
                server=self.base,
                why=getattr(error, "reason", error),
            ) from None


def _event(told: Mapping[str, Any]) -> Event | None:
    match told.get("event"):
        case "settled":
            return Settled(outcome=outcome_of(restore_sentences(told)))
        case "noted":
            return Noted(text="{says}", facts={"says": restore_sentences(told)["says"]})
        case "began":
            return Began(what=told["what"], total=told["total"], unit=told["unit"])
        case "advanced":
            return Advanced(what=told["what"], done=told["done"])
    return None


def restore_sentences(document: Any) -> Any:
    """Join each sentence with its translations (``reason``, ``reason_in``) to one value."""
    if isinstance(document, list):
        return [restore_sentences(one) for one in document]
    if not isinstance(document, dict):
        return document
    translations = {
        name: document[f"{name}_in"]
        for name in document
        if isinstance(document.get(f"{name}_in"), dict) and isinstance(document[name], str)
    }
    return {
        name: Translated(value, translations[name])
        if name in translations
        else restore_sentences(value)
        for name, value in document.items()
        if name.removesuffix("_in") not in translations or name in translations
    }


def _refusal(error: HTTPError) -> PizarraError:
    kinds = {503: HostNotFit, 507: NoSpace, 404: NotFound, 401: Forbidden, 403: Forbidden}
    kind = kinds.get(error.code, BadInput if error.code < 500 else PizarraError)
    try:
        answer = json.loads(error.read())
        translations = {
            f"{name}_in": answer[f"{of}_in"]
            for name, of in (("says", "detail"), ("hint", "hint"))
            if f"{of}_in" in answer
        }
        return _error({**answer["error"], **translations}, kind)
    except (ValueError, KeyError, TypeError):
        return kind("{says}", says=str(error))


def _error(problem: Mapping[str, Any], otherwise: type[PizarraError]) -> PizarraError:
    """The error of a server. ``otherwise`` is its class when the code is not known here."""
    restored = restore_sentences(dict(problem))
    kind = class_of(str(problem.get("code")))
    hint = restored.get("hint") or ""
    made = (otherwise if kind is PizarraError else kind)(
        "{says}", "{hint}" if hint else "", says=restored.get("says"), hint=hint
    )
    made.code = str(problem.get("code") or made.code)
    return made
