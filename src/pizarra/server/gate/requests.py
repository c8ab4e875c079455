"""The gate of requests: what a visitor may cost before the pages know who it is.

A body is read here, within a size and a time for its address, before Django sees the request.
Django itself would write any body to /tmp first. Then the request waits for its turn, because
Django answers each request in a thread of its own. Nobody in the queue has a thread.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation.trans_real import parse_accept_lang_header

from pizarra.model.sizes import KIB, MIB
from pizarra.server.addresses import group_of
from pizarra.service.uploads import PIECE_BYTES

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

BODY_S = 20.0  # and in addition
_BODY_BYTES_PER_S = 32 * KIB
_SMALL_BYTES = 64 * KIB  # any connection may have so much in our memory
_LARGE_AT_ONCE, _LARGE_PER_ADDRESS = 16, 4  # bodies that are longer
_TURN_S = 30.0
_OPEN_MAX, OPEN_PER_ADDRESS = 1000, 128  # requests that wait or are being answered
_log = logging.getLogger("pizarra.gate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The limits of the requests whose path begins with ``path``."""

    path: str
    end: str = ""  # of the path
    method: str = ""  # empty is any
    body_bytes: int = 16 * KIB
    at_once: int
    is_stream: bool = False  # Django keeps the thread to the end of the answer


ROUTES = (
    # each checks a password with Argon2, which takes 100 MiB (people/passwords.py)
    Route(path="/sign-in/", method="POST", at_once=2),
    Route(path="/join/", at_once=4),
    Route(path="/api/v1/join", at_once=4),
    Route(path="/i18n/", at_once=4),
    Route(path="/api/v1/jobs/", end="/events", at_once=64, is_stream=True),
    # pictures take turns on the host: those who wait must not keep pages waiting
    Route(path="/api/v1/classrooms/", end="/screenshot", at_once=8),
    Route(path="/api/v1/uploads/", body_bytes=PIECE_BYTES, at_once=4),
    Route(path="/", body_bytes=2 * MIB, at_once=32),
)


class _Refusal(Exception):
    """The request is not answered by the pages."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class Gate:
    """An ASGI application that lets requests through to another, within limits."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._turns = {route: asyncio.Semaphore(route.at_once) for route in ROUTES}
        self._open: Counter[str] = Counter()
        self._large: Counter[str] = Counter()
        self._warned = False

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or one web socket."""
        self._warn_of_proxy(scope)
        route, whose = _route_of(scope), group_of(str((scope.get("client") or ("",))[0]))
        try:
            async with (
                _place(self._open, whose, _OPEN_MAX, OPEN_PER_ADDRESS) as leave,
                self._reading(scope, route, whose, receive) as body,
            ):
                if body is not None:
                    again = _again(body, receive) if scope["type"] == "http" else receive
                    await self._answer(scope, again, send, route, leave)
        except _Refusal as refusal:
            await _refuse(scope, send, refusal.status, route)

    @asynccontextmanager
    async def _reading(
        self, scope: Message, route: Route, whose: str, receive: Receive
    ) -> AsyncIterator[bytearray | None]:
        """The body; None when the visitor has gone. A web socket has none."""
        body, is_large, more = bytearray(), False, scope["type"] == "http"
        told = dict(scope["headers"]).get(b"content-length", b"0")
        if told.isdigit() and int(told[:20]) > route.body_bytes:
            raise _Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        began = asyncio.get_running_loop().time()
        try:
            while more:
                due = began + BODY_S + len(body) / _BODY_BYTES_PER_S
                message = await _in_time(receive(), due, HTTPStatus.REQUEST_TIMEOUT)
                if message["type"] == "http.disconnect":
                    yield None
                    return
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > route.body_bytes:
                    raise _Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                if len(body) > _SMALL_BYTES and not is_large:
                    _enter(self._large, whose, _LARGE_AT_ONCE, _LARGE_PER_ADDRESS)
                    is_large = True
            yield body
        finally:
            if is_large:
                _leave(self._large, whose)

    async def _answer(
        self, scope: Message, receive: Receive, send: Send, route: Route, leave: Callable[[], None]
    ) -> None:
        """Let the pages answer when it is the request's turn. The turn ends with the first word of
        the answer: what is left then needs no thread, and may take as long as a lesson."""
        due = asyncio.get_running_loop().time() + _TURN_S
        await _in_time(self._turns[route].acquire(), due, HTTPStatus.SERVICE_UNAVAILABLE)
        is_over = False

        def end_turn() -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                self._turns[route].release()
                leave()

        async def send_and_end_turn(message: Message) -> None:
            if not route.is_stream:
                end_turn()
            await send(message)

        try:
            await self._app(scope, receive, send_and_end_turn)
        finally:
            end_turn()

    def _warn_of_proxy(self, scope: Message) -> None:
        if self._warned or settings.PIZARRA.server_proxies:
            return
        if b"x-forwarded-for" in dict(scope.get("headers", ())):
            self._warned = True
            _log.warning(
                "A proxy stands in front of the server, and the setting server_proxies names none:"
                " all visitors count as one address."
            )


def _route_of(scope: Message) -> Route:
    path, method = scope.get("path", ""), scope.get("method", "")
    for one in ROUTES[:-1]:
        if path.startswith(one.path) and path.endswith(one.end) and one.method in ("", method):
            return one
    return ROUTES[-1]


def _enter(places: Counter[str], whose: str, most: int, own_most: int) -> None:
    """Take one of ``most`` places. Raises _Refusal."""
    if places.total() >= most or places[whose] >= own_most:
        raise _Refusal(HTTPStatus.SERVICE_UNAVAILABLE)
    places[whose] += 1


def _leave(places: Counter[str], whose: str) -> None:
    places[whose] -= 1
    if places[whose] <= 0:
        del places[whose]


@asynccontextmanager
async def _place(
    places: Counter[str], whose: str, most: int, own_most: int
) -> AsyncIterator[Callable[[], None]]:
    """One of the places, for the block, or until the function that it gives is called."""
    _enter(places, whose, most, own_most)
    has_left = False

    def leave() -> None:
        nonlocal has_left
        if not has_left:
            has_left = True
            _leave(places, whose)

    try:
        yield leave
    finally:
        leave()


async def _in_time(act: Awaitable[Any], due: float, status: HTTPStatus) -> Any:
    try:
        async with asyncio.timeout_at(due):
            return await act
    except TimeoutError:
        raise _Refusal(status) from None


def _again(body: bytearray, receive: Receive) -> Receive:
    """Gives the body that was read, and then what comes after it."""
    is_given = False

    async def next_message() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given, whole = True, bytes(body)
        body.clear()
        return {"type": "http.request", "body": whole, "more_body": False}

    return next_message


async def _refuse(scope: Message, send: Send, status: HTTPStatus, route: Route) -> None:
    """Answer with an error, in the visitor's language, and close the connection."""
    if scope["type"] != "http":
        await send({"type": "websocket.close", "code": 1013})
        return
    with translation.override(_language(scope)):
        code, says, hint = _words(status, route)
    kind, body = b"text/plain; charset=utf-8", f"{says} {hint}\n"
    if scope["path"].startswith("/api/"):
        error = {"code": code, "says": says, "hint": hint}
        kind = b"application/json"
        body = json.dumps({"detail": says, "hint": hint, "code": code, "error": error})
    data = body.encode()
    headers = [(b"content-type", kind), (b"content-length", str(len(data)).encode()),
               (b"connection", b"close"), (b"cache-control", b"no-store")]  # fmt: skip
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", b"10"))
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": data})


def _words(status: HTTPStatus, route: Route) -> tuple[str, str, str]:
    """The code, the sentence and the next step."""
    if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        hint = _("Send at most {n} KiB.").format(n=route.body_bytes // KIB)
        return "too_long", _("The request is too long."), hint
    if status is HTTPStatus.REQUEST_TIMEOUT:
        return "too_slow", _("The request came too slowly."), _("Send it again.")
    return "busy", _("The server has too much to do."), _("Try again in a moment.")


def _language(scope: Message) -> str:
    """The first language of the browser that we speak."""
    asked = dict(scope["headers"]).get(b"accept-language", b"").decode("latin-1")
    for name, _weight in parse_accept_lang_header(asked):
        try:
            return translation.get_supported_language_variant(name)
        except LookupError:
            continue
    return str(settings.LANGUAGE_CODE)
