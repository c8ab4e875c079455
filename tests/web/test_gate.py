"""The gate before the pages, with its real server and an application that says what it got."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import uvicorn

from pizarra.server.gate import requests as gate
from pizarra.server.gate.connection import Connection
from pizarra.server.gate.listening import CONNECTIONS_PER_ADDRESS_MAX, listen_at

_LIMIT_S = 60.0


class Application:
    """Answers the length of the body and the visitor's address. Holds some of its answers back."""

    def __init__(self) -> None:
        self.at_work = self.most_at_work = 0
        self.go_on = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "bytes": (await receive())["bytes"]})
            return
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message["body"]), message["more_body"]
        while scope["path"].startswith("/sign-in/") and not self.go_on.is_set():
            await asyncio.sleep(0.01)
        self.at_work -= 1
        text = f"{size} {scope['client'][0]}".encode()
        head = [(b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        if scope["path"].startswith("/stream"):
            while not self.go_on.is_set():
                await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": text})


Ask = Callable[..., socket.socket]


@contextmanager
def serving(application: Application, proxies: list[str]) -> Iterator[Ask]:
    listening = listen_at("127.0.0.1:0", proxies)
    port = listening.getsockname()[1]
    config = uvicorn.Config(
        gate.Gate(application), loop="asyncio", http=Connection, lifespan="off", log_level="error",
        proxy_headers=bool(proxies), forwarded_allow_ips=proxies,
    )  # fmt: skip
    server = uvicorn.Server(config)
    running = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    running.start()
    wait_until(lambda: server.started)

    def ask(
        path: str, body: bytes = b"", source: str = "127.0.0.1", size: int = 0, **headers: str
    ) -> socket.socket:
        browser = socket.create_connection(("127.0.0.1", port), _LIMIT_S, (source, 0))
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        length = f"Content-Length: {size or len(body)}"
        method = "GET" if "Upgrade" in headers else "POST"
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n{length}\r\n{more}\r\n"
        browser.sendall(head.encode() + body)
        return browser

    try:
        yield ask
    finally:
        application.go_on.set()
        server.should_exit = True
        running.join(_LIMIT_S)


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def ask(application: Application) -> Iterator[Ask]:
    with serving(application, []) as found:
        yield found


def answer(browser: socket.socket) -> tuple[int, str]:
    """The status, and the content."""
    with browser, browser.makefile("rb") as file:
        status, size = int(file.readline().split()[1]), 0
        while (line := file.readline().lower()) != b"\r\n":
            size = int(line.split()[1]) if line.startswith(b"content-length") else size
        return status, file.read(size).decode()


def test_body_when_it_is_within_the_limit_then_the_pages_get_all_of_it(ask: Ask) -> None:
    for size in (0, 1, 16 << 10):
        assert answer(ask("/join/", b"x" * size)) == (200, f"{size} 127.0.0.1")
    assert answer(ask("/", b"x" * (2 << 20))) == (200, f"{2 << 20} 127.0.0.1")
    upload = "/api/v1/uploads/1"
    assert answer(ask(upload, b"x" * (8 << 20)))[1].startswith(f"{8 << 20} ")


def test_body_when_it_is_one_byte_too_long_then_refused(ask: Ask) -> None:
    assert answer(ask("/join/", b"x" * ((16 << 10) + 1))) == (
        413,
        "The request is too long. Send at most 16 KiB.\n",
    )


def test_bodies_when_an_address_sends_many_long_ones_at_once_then_the_others_have_their_places(
    ask: Ask,
) -> None:
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(ask("/", b"x" * 200_000, size=2_000_000))
        wait_until(lambda: answer(ask("/", b"x" * 200_000))[0] == 503)
        assert answer(ask("/", b"x" * 200_000, "127.0.0.9"))[0] == 200
    wait_until(lambda: answer(ask("/", b"x" * 200_000))[0] == 200)


def wait_until(is_so: Callable[[], bool]) -> None:
    """Fails when it is never so."""
    deadline = time.monotonic() + _LIMIT_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_sign_ins_when_many_come_at_once_then_two_have_their_turn_and_the_others_wait(
    ask: Ask, application: Application
) -> None:
    browsers = [ask("/sign-in/", b"x", f"127.0.3.{n}") for n in range(1, 21)]
    wait_until(lambda: application.at_work == 2)
    assert answer(ask("/"))[0] == 200, "other pages do not wait for them"
    application.go_on.set()
    assert [answer(one)[0] for one in browsers] == [200] * 20
    assert application.most_at_work <= 3


def test_requests_when_an_address_has_too_many_that_wait_then_the_others_are_served(
    ask: Ask, application: Application
) -> None:
    browsers = [ask("/sign-in/", b"x") for _ in range(128)]
    wait_until(lambda: answer(ask("/"))[0] == 503)
    assert answer(ask("/", source="127.0.0.9"))[0] == 200
    application.go_on.set()
    assert {answer(one)[0] for one in browsers} == {200}
    assert answer(ask("/"))[0] == 200


def test_answers_when_they_go_on_for_long_then_they_keep_no_turn(
    ask: Ask, application: Application
) -> None:
    browsers = [ask("/stream", source=f"127.0.4.{n}") for n in range(1, 41)]
    assert answer(ask("/"))[0] == 200
    application.go_on.set()
    assert {answer(one)[0] for one in browsers} == {200}


def test_console_when_it_is_opened_then_it_is_let_through_and_keeps_no_turn(ask: Ask) -> None:
    opening = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
               "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA=="}  # fmt: skip
    with ExitStack() as stack:
        for number in range(1, 41):
            console = stack.enter_context(ask("/console/x", source=f"127.0.7.{number}", **opening))
            file = stack.enter_context(console.makefile("rb"))
            assert b" 101 " in file.readline()
            while file.readline() != b"\r\n":
                pass
        console.sendall(b"\x82\x81\0\0\0\0k")  # RFC 6455, 5.2: one byte, with a mask of zeros
        assert file.read(3) == b"\x82\x01k"


def test_proxy_when_the_settings_name_none_then_nobody_is_believed(ask: Ask) -> None:
    assert answer(ask("/", X_Forwarded_For="10.0.0.7"))[1] == "0 127.0.0.1"


@pytest.mark.parametrize("proxy", ["127.0.0.1", "127.0.0.0/31"])
def test_proxy_when_the_settings_name_it_then_it_alone_is_believed_and_has_no_limit_of_its_own(
    proxy: str, application: Application
) -> None:
    with serving(application, [proxy]) as ask:
        assert answer(ask("/", X_Forwarded_For="10.0.0.7"))[1] == "0 10.0.0.7"
        many = [ask("/") for _ in range(CONNECTIONS_PER_ADDRESS_MAX + 20)]
        assert {answer(one)[0] for one in many} <= {200, 503}
        assert answer(ask("/", source="127.0.0.2", X_Forwarded_For="10.0.0.7"))[1] == (
            "0 127.0.0.2"
        )
