"""Requests and questions at random, the same for the same seed. None may be a fault of ours.

By hand: ``python -m tests.attack.fuzz [HOW_MANY] [SEED]``, as root.
"""

from __future__ import annotations

import json
import random
import re
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pizarra.service.commands.table import all_commands
from tests.attack.school import Browser
from tests.attack.served import LIMIT_S, Served, serving

FAULTS_SHOWN = 20
_ANSWERS = frozenset({501, 503, 507})  # of those from 500 on; 503 and 507 say what is missing
_REAL = (
    "host",
    "report",
    "inspect",
)  # commands that touch this machine, also beside a host in memory
WORDS = (
    "net",
    "net-01",
    "net-99",
    "debian",
    "nowhere",
    "1",
    "0",
    "-1",
    "1-3",
    "3-1",
    "1,,2",
    "²",
    "１",
    "١",
    "99999999999999999999",
    "1e5",
    "",
    " ",
    "a" * 300,
    "\0",
    "\n",
    "\r\nX: y",
    "ñ",
    "e\u0301",
    "\ud800",
    "\u202e",
    "🂡",
    "../../etc/passwd",
    "%s",
    "{says}",
    "{0}",
    "'",
    '"',
    "<script>",
    "NaN",
    "true",
    "running",
    "technician",
    "2026-02-30",
    "own-1",
    "piz_x",
    "00000000-0000-4000-8000-000000000000",
    "00000000-0000-0000-0000-00000000000²",
)
OTHERS = (0, 1, -1, 2**31, 2**63, 10**30, 0.5, -0.0, float("inf"), float("nan"), True, False, None)
PAGES = (
    "/",
    "/sign-in/",
    "/sign-out/",
    "/i18n/setlang/",
    "/join/",
    "/classrooms/new/",
    "/classrooms/{classroom}/",
    "/classrooms/{classroom}/people/",
    "/classrooms/{classroom}/{number}/",
    "/activity/",
    "/storage/",
    "/people/",
    "/tokens/",
    "/healthz",
    "/metrics",
    "/static/pizarra/wall.js",
    "/console/{ticket}",
)
FORM = (
    "username",
    "password",
    "code",
    "next",
    "language",
    "act",
    "minutes",
    "csv",
    "checkpoint",
    "classroom",
    "title",
    "template",
    "seats",
    "memory_mib",
    "role",
    "name",
    "scope",
    "id",
)
METHODS = ("GET", "GET", "GET", "POST", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "FOO")
KINDS = (
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "text/plain; charset=nonsense",
    "",
    "application/json; charset=utf-7",
)


_DEEP = (b"[" * 50_000, b'{"a":' * 20_000, b"9" * 5000, b'{"seats": ' + b"9" * 5000 + b"}",
         b'{"classroom": "\xff"}', b'{"classroom": 1e999}')  # fmt: skip


class Dice(random.Random):
    """Chance, with values that programs stumble over."""

    def word(self) -> str:
        if self.random() < 0.1:
            return "".join(chr(self.randrange(1, 0xD7FF)) for _ in range(self.randrange(1, 20)))
        return self.choice(WORDS)

    def value(self, depth: int = 0) -> Any:
        chance = self.random()
        if chance < 0.1 and depth < 3:
            return [self.value(depth + 1) for _ in range(self.randrange(4))]
        if chance < 0.2 and depth < 3:
            return {self.word(): self.value(depth + 1) for _ in range(self.randrange(4))}
        return self.word() if chance < 0.7 else self.choice(OTHERS)

    def document(self, keys: Sequence[str]) -> Any:
        if self.random() < 0.1:
            return self.value()
        return {self.choice(keys): self.value() for _ in range(self.randrange(6))}

    def spoil(self, data: bytes, share: float = 0.1) -> bytes:
        """Exchange, add or take away a few bytes, sometimes."""
        if self.random() > share or not data:
            return data
        found = bytearray(data)
        for _ in range(self.randrange(1, 5)):
            at = self.randrange(len(found) or 1)
            found[at : at + self.randrange(3)] = self.randbytes(self.randrange(3))
        return bytes(found)


# ---- the pages


def ask_pages(served: Served, many: int, seed: int) -> list[str]:
    """What went wrong with so many requests: the request, and its answer."""
    dice, browser = Dice(seed), Browser(served).session
    described = browser.get(f"{served.url}/api/v1/openapi.json", timeout=LIMIT_S).json()
    paths = [*PAGES, *(f"{path}" for path in described["paths"])]
    keys = [*FORM, *_properties(described)]
    cookies = "; ".join(f"{one.name}={one.value}" for one in browser.cookies)
    faults = []
    for number in range(many):
        data = _request(dice, paths, keys, cookies)
        status, answer = _send(served, data)
        if status == 0 or (status >= 500 and status not in _ANSWERS):
            faults.append(f"{number}: {data[:300]!r}: {status} {answer[:300]!r}")
    return faults[:FAULTS_SHOWN]


def _properties(described: Any) -> Iterator[str]:
    for shape in described.get("components", {}).get("schemas", {}).values():
        yield from shape.get("properties", {})


def _request(dice: Dice, paths: Sequence[str], keys: Sequence[str], cookies: str) -> bytes:
    method, path = dice.choice(METHODS), dice.choice(paths)
    if any(word in path for word in _REAL):
        method = "GET"
    path = re.sub(r"{[^}]*}", lambda _: quote(_bytes(dice.word()), safe=""), path)
    if dice.random() < 0.3:
        asked = (quote(_bytes(dice.word())) for _ in range(2))
        path += f"?{dice.choice(keys)}=" + "&offset=".join(asked)
    kind, document = dice.choice(KINDS), dice.document(keys)
    if "json" in kind or not isinstance(document, dict):
        body = json.dumps(document).encode()
    else:
        pairs = (f"{quote(_bytes(k))}={quote(_bytes(str(v)))}" for k, v in document.items())
        body = "&".join(pairs).encode()
    if dice.random() < 0.02:
        body = dice.choice(_DEEP)
    body = b"" if method in ("GET", "HEAD") and dice.random() < 0.9 else dice.spoil(body)
    headers = {"Host": "localhost", "Content-Type": kind, "Content-Length": str(len(body)),
               "Connection": "close", "Origin": "http://localhost"}  # fmt: skip
    if dice.random() < 0.7:
        headers["Cookie"] = cookies
        found = re.search(r"csrftoken=(\w+)", cookies)
        headers["X-CSRFToken"] = found[1] if found else ""
    for name in ("Accept-Language", "Authorization", "Idempotency-Key", "Last-Event-ID", "Range",
                 "If-Modified-Since", "Accept-Encoding", "X-Forwarded-For", "Host"):  # fmt: skip
        if dice.random() < 0.05:
            value = dice.choice(("Bearer ", "bytes=", "")) + dice.word()
            headers[name] = re.sub(r"[\0\r\n]", "", value)
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    return dice.spoil(_bytes(head), 0.05) + b"\r\n" + body


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _send(served: Served, data: bytes) -> tuple[int, bytes]:
    with socket.create_connection(("127.0.0.1", served.port), LIMIT_S) as visitor:
        with suppress(BrokenPipeError, ConnectionResetError):
            visitor.sendall(data)
            visitor.shutdown(socket.SHUT_WR)  # or a spoiled length would wait for more
        answer = bytearray()
        with suppress(ConnectionResetError):
            while piece := visitor.recv(65536):
                answer += piece
    line = bytes(answer).split(b" ", 2)
    # no answer is due to whoever hangs up in the middle of a request
    return int(line[1]) if len(line) > 1 and line[1].isdigit() else -1, bytes(answer)


# ---- the agent's door


def ask_door(path: Path, many: int, seed: int) -> list[str]:
    """What went wrong with so many questions: the question, and its answer."""
    dice = Dice(seed)
    commands = [one for one in all_commands() if not one.name.startswith(_REAL)]
    keys = sorted({name for one in commands for name in one.arguments.model_fields})
    faults = []
    for number in range(many):
        job = f"job{number}"
        names = [one.name for one in commands]
        line = dice.spoil(json.dumps(_question(dice, names, keys, job)).encode())
        if dice.random() < 0.02:
            line = line.replace(b"{}", dice.choice(_DEEP))
        fault = _fault_of(path, line.replace(b"\n", b" "))
        if not fault and b'"submit"' in line:
            asked = {"ask": "events", "job": job, "since": 0, "wait_s": 10}
            fault = _fault_of(path, json.dumps(asked).encode())
        if fault:
            faults.append(f"{number}: {line[:300]!r}: {fault}")
    return faults[:FAULTS_SHOWN]


def _question(dice: Dice, names: Sequence[str], keys: Sequence[str], job: str) -> Any:
    ask = dice.choice(("query", "query", "query", "submit", "events", "record_activity", "activity",
                       "halt", "screenshot", "file", "console", dice.word()))  # fmt: skip
    right: dict[str, Any] = {
        "ask": ask,
        "command": dice.choice(names),
        "job": job,
        "since": 0,
        "wait_s": 0,
        "by": dice.choice(("students", "teachers", "technicians")),
        "classroom": "net",
        "number": 1,
        "numbers": [1, 2],
        "name": "x",
        "dry_run": dice.random() < 0.5,
        "arguments": {"classroom": "net"} if dice.random() < 0.5 else {},
    }
    arguments = dice.document(keys)
    if isinstance(arguments, dict) and dice.random() < 0.8:
        right["arguments"] |= arguments
    for name in list(right):
        if name not in ("ask", "job", "wait_s", "arguments") and dice.random() < 0.05:
            right[name] = dice.value()
        if name != "ask" and dice.random() < 0.01:
            del right[name]
    return right if dice.random() < 0.97 else dice.value()


def _fault_of(path: Path, line: bytes) -> str:
    with socket.socket(socket.AF_UNIX) as door, door.makefile("rb") as file:
        door.settimeout(LIMIT_S)
        door.connect(str(path))
        door.sendall(line + b"\n")
        answer = file.readline()
    try:
        told = json.loads(answer)
    except ValueError:
        return f"no answer: {answer[:300]!r}"
    error = told.get("error") or (told.get("answer") or {} if b'"events"' in line else {}).get(
        "error"
    )
    return str(error) if error and error["code"] in ("bug", "failed") else ""


def main(many: int = 1000, seed: int = 1) -> int:
    """Ask both, and print what went wrong."""
    with tempfile.TemporaryDirectory(prefix="pizarra-fuzz-") as name:
        Path(name).chmod(0o755)
        with serving(Path(name)) as served:
            faults = ask_pages(served, many, seed)
            faults += ask_door(served.door, many, seed)
    sys.stdout.write("\n".join([*faults, f"{many} of each, {len(faults)} faults"]) + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
