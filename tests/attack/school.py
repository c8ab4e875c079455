"""Those who come to a server with a browser, and a school of them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.attack.served import HELLO, LIMIT_S, Served

Wish = dict[str, Any]


class Browser:
    """A session, with its forms' tokens."""

    def __init__(self, served: Served, name: str = "technician", password: str = "") -> None:
        self.served, self.session = served, requests.Session()
        self.session.get(f"{served.url}/sign-in/", timeout=LIMIT_S)
        answer = self.form("/sign-in/", username=name, password=password or served.password)
        assert answer.status_code == 302, answer.text

    def form(self, path: str, **fields: str) -> requests.Response:
        """Send a form."""
        sent = {"csrfmiddlewaretoken": self.session.cookies["csrftoken"], **fields}
        return self.session.post(
            self.served.url + path,
            sent,
            timeout=LIMIT_S,
            allow_redirects=False,
            headers={"Referer": self.served.url},
        )

    def call(self, method: str, path: str, body: Wish | None = None) -> requests.Response:
        """Call the API."""
        return self.session.request(
            method,
            f"{self.served.url}/api/v1{path}",
            json=body if method in ("POST", "PUT") else None,
            timeout=LIMIT_S,
            headers={
                "X-CSRFToken": self.session.cookies["csrftoken"] or "",
                "Referer": self.served.url,
            },
        )

    def run(self, method: str, path: str, body: Wish | None = None) -> Wish:
        """Call the API for a job, and wait for its end."""
        answer = self.call(method, path, body or {})
        assert answer.status_code == 202, answer.text
        return self.end_of(answer.json()["id"])

    def end_of(self, job: str) -> Wish:
        """Wait for the end of a job."""
        told: Wish = until(
            lambda: self.call("GET", f"/jobs/{job}").json(),
            lambda now: now["state"] not in ("queued", "running"),
        )
        return told

    def console(self, classroom: str, number: int) -> ClientConnection:
        """Open a console, and read its first word."""
        ticket = self.call("POST", f"/classrooms/{classroom}/seats/{number}/console")
        assert ticket.status_code == 200, ticket.text
        stream = self.open(ticket.json()["path"])
        assert stream.recv(LIMIT_S) == HELLO
        return stream

    def open(self, path: str) -> ClientConnection:
        """Open a stream of the pages."""
        cookies = "; ".join(f"{one.name}={one.value}" for one in self.session.cookies)
        address = self.served.url.removeprefix("http://")
        return connect(
            f"ws://{address}{path}",
            origin=Origin(self.served.url),
            additional_headers={"Cookie": cookies},
            open_timeout=LIMIT_S,
            legacy=True,
        )


def closed(stream: ClientConnection) -> int:
    """Why the server closed a stream."""
    with pytest.raises(ConnectionClosed) as end:
        while True:
            stream.recv(LIMIT_S)
    assert end.value.rcvd
    return end.value.rcvd.code


def until(look: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
    """The first answer that is good."""
    deadline = time.monotonic() + LIMIT_S
    while not good(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


class School:
    """A server with Ada and Bob, who teach, and Eva and Leo in Ada's classroom ``net``."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.tec = Browser(served)
        self.ada, self.bob = self._teacher("ada"), self._teacher("bob")
        self.tec.run("DELETE", "/classrooms/net")  # of the demonstration, and without a teacher
        assert self.create(self.ada, "net")["state"] == "ended"
        rows = self.seat(self.ada, "net", "1,eva", "2,leo")
        passwords = {row["username"]: row["first_password"] for row in rows}
        self.eva = Browser(served, "eva", passwords["eva"])
        self.leo = Browser(served, "leo", passwords["leo"])

    def _teacher(self, name: str) -> Browser:
        page = self.tec.form("/people/", username=name, role="teacher").text
        found = re.search(rf"first password of {name} is (\S+)\. It", page)
        assert found, page
        return Browser(self.served, name, found[1])

    @staticmethod
    def create(who: Browser, name: str, **more: object) -> Wish:
        """Ask for a classroom, and wait for what becomes of it."""
        wish = {"classroom": name, "template": "debian", "seats": 4, "memory_mib": 64} | more
        return who.run("POST", "/classrooms", wish)

    @staticmethod
    def seat(who: Browser, name: str, *lines: str) -> list[Wish]:
        """Give seats to students."""
        wish = {"csv": "\n".join(lines), "apply": True}
        answer = who.call("POST", f"/classrooms/{name}/roster", wish)
        assert answer.json()["applied"], answer.text
        rows: list[Wish] = answer.json()["rows"]
        return rows
