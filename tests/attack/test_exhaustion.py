"""Visitors whom nobody knows, and a pages' process that was taken over, try to use a host up."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections import Counter
from contextlib import ExitStack, suppress

import pytest
import requests

from pizarra.agent.client import HostClient
from pizarra.agent.door import CALLERS_AT_ONCE
from pizarra.server.gate.listening import CONNECTIONS_PER_ADDRESS_MAX
from pizarra.server.gate.requests import OPEN_PER_ADDRESS
from tests.attack import fuzz
from tests.attack.served import LIMIT_S, Served, memory_kib, threads

GUESSES = 8  # of one name from one address
MIB_KIB = 1024
PAGES_KIB_MAX = 600 * MIB_KIB  # Python and Django take 120, three checks of passwords 300
AGENT_KIB_MAX = 250 * MIB_KIB


def connect(served: Served, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", served.port), LIMIT_S, (source, 0))


def sign_in_page(served: Served, source: str = "127.0.0.9") -> int:
    """The status of a page, asked for from another address."""
    head = b"GET /sign-in/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with connect(served, source) as browser, suppress(ConnectionError):
        browser.sendall(head)
        return status_of(browser)
    return 0


def status_of(browser: socket.socket) -> int:
    """The status of an answer; 0 for a connection that was closed without any."""
    with suppress(ConnectionResetError), browser.makefile("rb") as answer:
        line = answer.readline().split()
        return int(line[1]) if line else 0
    return 0


def post(served: Served, source: str, name: str, password: str) -> int:
    """Try to sign in, from an address, as a browser does."""
    token = "a" * 32
    body = f"username={name}&password={password}&csrfmiddlewaretoken={token}"
    with connect(served, source) as browser:
        browser.sendall(
            (
                "POST /sign-in/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                f"Cookie: csrftoken={token}\r\nOrigin: http://localhost\r\n"
                "Content-Type: application/x-www-form-urlencoded\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}"
            ).encode()
        )
        return status_of(browser)


# connections and bodies


VISITORS = OPEN_PER_ADDRESS + 22
_HALVES: dict[bytes, dict[int, int]] = {
    b"": {0: VISITORS},
    b"GET /sign-in/ HTTP/1.1\r\nHost: loc": {0: VISITORS},
    # a request whose headers are whole has a place: who has none left is told so at once
    b"POST /sign-in/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\nuser": {
        408: OPEN_PER_ADDRESS,
        503: VISITORS - OPEN_PER_ADDRESS,
    },
}


def test_visitors_when_they_send_half_a_request_then_they_are_cut_off_and_others_are_served(
    served: Served,
) -> None:
    """One address is silent, one sends half the headers, one half a body; one goes on byte by
    byte with its headers."""
    ended = threading.Event()

    def drip(visitor: socket.socket) -> None:
        with suppress(OSError):
            while not ended.wait(1):
                visitor.sendall(b"a")

    with ExitStack() as stack:
        dripper = stack.enter_context(connect(served, "127.0.4.9"))
        dripper.sendall(b"GET /sign-in/ HTTP/1.1\r\nX-A: ")
        dripping = threading.Thread(target=drip, args=(dripper,))
        dripping.start()
        halves = [
            [stack.enter_context(connect(served, f"127.0.4.{n}")) for _ in range(VISITORS)]
            for n in range(1, len(_HALVES) + 1)
        ]
        for visitors, sent in zip(halves, _HALVES, strict=True):
            for one in visitors:
                one.sendall(sent)
        assert sign_in_page(served) == 200
        answers = [Counter(status_of(one) for one in visitors) for visitors in halves]
        assert answers == list(_HALVES.values())
        assert status_of(dripper) == 0
        ended.set()
        dripping.join()
    assert threads(served.pages) < 100


def test_visitor_when_one_address_opens_connections_on_and_on_then_the_others_have_theirs(
    served: Served,
) -> None:
    with ExitStack() as stack:
        for _ in range(CONNECTIONS_PER_ADDRESS_MAX + 20):
            with suppress(ConnectionResetError):
                stack.enter_context(connect(served, "127.0.0.66"))
        assert sign_in_page(served, "127.0.0.66") == 0
        assert sign_in_page(served, "127.0.0.9") == 200
    for _ in range(100):  # the loop of the server sees one after the other close
        if sign_in_page(served, "127.0.0.66") == 200:
            return
        threading.Event().wait(0.1)
    raise AssertionError("an address that has closed its connections must be let in again")


_ENDLESS_BYTES = 512 << 20  # many times what a body may have, and what sockets hold


@pytest.mark.parametrize("path", ["/sign-in/", "/api/v1/uploads/x", "/no/such/page"])
@pytest.mark.parametrize("how", ["announced", "in pieces"])
def test_body_when_it_is_too_long_then_it_is_refused_before_it_came(
    path: str, how: str, served: Served
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n"
    sent = 0
    with connect(served) as visitor:
        if how == "announced":
            visitor.sendall(f"{head}Content-Length: {50 << 30}\r\n\r\n".encode())
        else:
            visitor.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
            with suppress(OSError):
                while sent < _ENDLESS_BYTES:
                    visitor.sendall(piece)
                    sent += 65536
            assert sent < _ENDLESS_BYTES, "the server must have hung up"
        with suppress(ConnectionResetError):
            assert status_of(visitor) in (413, 0)
    assert memory_kib(served.pages) < PAGES_KIB_MAX


def test_body_when_it_is_too_long_then_the_answer_says_how_long_it_may_be(served: Served) -> None:
    for language, says in (("en", "too long"), ("es-ES,en;q=0.5", "demasiado")):
        answer = requests.post(
            f"{served.url}/api/v1/join",
            data=b"x" * 20_000,
            timeout=LIMIT_S,
            headers={"Accept-Language": language},
        )
        assert answer.status_code == 413
        assert says in answer.json()["detail"]
        assert "16" in answer.json()["hint"]
        assert answer.json()["error"]["code"] == "too_long"


# the journal

_REFUSED = {
    b"GET / HTTP/1.1\r\nHost: no such host\r\nConnection: close\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n": 400,
    b"POST /sign-in/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n": 403,
    b"no request at all\r\n\r\n": 400,
}


@pytest.mark.long
def test_journal_when_a_visitor_sends_what_is_refused_on_and_on_then_few_lines_are_written(
    served: Served,
) -> None:
    before = served.log.stat().st_size
    for request, status in _REFUSED.items():
        for _ in range(60):
            with connect(served, "127.0.3.1") as visitor:
                visitor.sendall(request)
                assert status_of(visitor) == status
    said = served.log.read_bytes()[before:].decode()
    assert 3 <= said.count("\n") <= 120, said  # of 240; each minute begins anew
    assert "evil.example" in said or "no such host" in said
    assert "Traceback" not in said


# passwords


def test_passwords_when_many_sign_in_at_once_then_the_memory_has_a_limit(served: Served) -> None:
    statuses: list[int] = []

    def guess(number: int) -> None:
        source = f"127.0.1.{number}"
        statuses.append(post(served, source, f"name{number}", "wrong"))

    guessing = [threading.Thread(target=guess, args=(n,)) for n in range(1, 41)]
    for one in guessing:
        one.start()
    for one in guessing:
        one.join()
    assert set(statuses) <= {200, 503}
    assert 200 in statuses
    assert memory_kib(served.pages) < PAGES_KIB_MAX


def test_passwords_when_an_address_guesses_then_it_is_throttled_and_the_technician_signs_in(
    served: Served,
) -> None:
    tries = [post(served, "127.0.2.1", "technician", "wrong") for _ in range(GUESSES + 2)]
    assert tries == [200] * GUESSES + [429, 429]
    assert post(served, "127.0.2.2", "technician", served.password) == 302


# the agent's door


def test_door_when_callers_say_nothing_then_its_threads_have_a_limit_and_it_answers_again(
    served: Served,
) -> None:
    path = served.door
    pid = served.process.pid
    with ExitStack() as stack:
        for _ in range(600):
            caller = stack.enter_context(socket.socket(socket.AF_UNIX))
            caller.setblocking(False)
            with suppress(BlockingIOError):  # the queue of the socket is full
                caller.connect(str(path))
        assert threads(pid) < CALLERS_AT_ONCE + 30
    assert HostClient(path).query("classroom list")
    assert memory_kib(pid) < AGENT_KIB_MAX


def test_door_when_a_caller_does_not_end_the_question_then_is_let_go(served: Served) -> None:
    with ExitStack() as stack:
        callers = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3)]
        for caller, sent in zip(callers, (b"", b'{"ask": "quer', b"x" * 300_000), strict=True):
            caller.settimeout(LIMIT_S)
            caller.connect(str(served.door))
            with suppress(BrokenPipeError):
                caller.sendall(sent)
        for caller in callers:
            with caller.makefile("rb") as answer, suppress(ConnectionResetError):
                line = answer.readline()
                assert line == b"" or json.loads(line)["error"]["code"] == "bad_input"


# everything at random: 10,000 of each with LONG=1

MANY = 10_000 if os.environ.get("LONG") == "1" else 300


def test_requests_when_they_are_random_then_none_is_a_fault_of_the_server(served: Served) -> None:
    faults = fuzz.ask_pages(served, MANY, seed=1)
    assert faults == []
    assert sign_in_page(served) == 200
    assert memory_kib(served.pages) < PAGES_KIB_MAX


def test_questions_when_they_are_random_then_none_is_a_fault_of_the_agent(served: Served) -> None:
    path = served.door
    assert fuzz.ask_door(path, MANY, seed=1) == []
    assert HostClient(path).query("classroom list")
    assert memory_kib(served.process.pid) < AGENT_KIB_MAX
