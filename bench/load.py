"""The server under a school's load: `python -m bench.load [SECONDS]`, on this machine, without lab.

A real `pizarra serve` over a host in memory: 100 seats. Three teachers look at the wall as its
script does, 100 students sign in, open their machine's page and ask for console tickets.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from bench.series import say

SEATS, TEACHERS, VISIBLE = 100, 3, 24
URL = "http://127.0.0.1:8791"
_TICKS = os.sysconf("SC_CLK_TCK")


class Person:
    """A browser: signed in, with its cookies; how long each answer took goes to ``times``."""

    def __init__(self, name: str, password: str, times: dict[str, list[float]]) -> None:
        self.http = requests.Session()
        self.times = times
        self.http.get(f"{URL}/sign-in/", timeout=60)
        form = {"username": name, "password": password, "csrfmiddlewaretoken": self.token()}
        answer = self.http.post(f"{URL}/sign-in/", data=form, timeout=60, headers={"Referer": URL})
        assert "sign-in" not in answer.url, (name, answer.status_code)

    def token(self) -> str:
        """What every change must carry."""
        return self.http.cookies.get("csrftoken") or ""

    def time(self, what: str, act: Callable[[], requests.Response]) -> requests.Response:
        began = time.perf_counter()
        answer = act()
        self.times[what].append((time.perf_counter() - began) * 1000)
        return answer

    def page(self, path: str) -> None:
        answer = self.time("page", lambda: self.http.get(URL + path, timeout=60))
        assert answer.status_code == 200, (path, answer.status_code)

    def api(self, path: str, *, post: bool = False) -> requests.Response:
        headers = {"X-CSRFToken": self.token(), "Referer": URL}
        call = self.http.post if post else self.http.get
        return self.time("api", lambda: call(f"{URL}/api/v1{path}", timeout=60, headers=headers))


@contextmanager
def server() -> Iterator[tuple[int, str]]:
    """(its process, the technician's password)."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        given = {"PIZARRA_SERVER_FOLDER": f"{folder}/server",
                 "PIZARRA_SERVER_LISTEN": URL.removeprefix("http://")}  # fmt: skip
        command = [sys.executable, "-m", "pizarra", "serve", "--demonstration", str(SEATS)]
        process = subprocess.Popen(
            command, env=os.environ | given, stdout=subprocess.PIPE, text=True
        )
        said = ""
        assert process.stdout
        for line in process.stdout:
            said += line
            if found := re.search(r"password (\S+)\.", said):
                break
        _wait_for_server()
        try:
            yield process.pid, found[1]  # type: ignore[index]
        finally:
            process.terminate()
            process.wait(60)


def _wait_for_server() -> None:
    for _ in range(100):
        try:
            requests.get(f"{URL}/sign-in/", timeout=5)
        except requests.ConnectionError:
            time.sleep(0.2)
        else:
            return


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30
    times: dict[str, list[float]] = defaultdict(list)
    with server() as (pid, password):
        technician = Person("technician", password, times)
        names = [f"student{n:03d}" for n in range(1, SEATS + 1)]
        csv = "\n".join(f"{n},{name},Student {n}" for n, name in enumerate(names, 1))
        say(f"load: {SEATS} students sign in")
        sent = technician.http.post(
            f"{URL}/api/v1/classrooms/net/roster",
            json={"csv": csv, "apply": True},
            timeout=120,
            headers={"X-CSRFToken": technician.token(), "Referer": URL},
        ).json()
        assert sent["applied"], sent
        first = {row["username"]: row["first_password"] for row in sent["rows"]}
        students = [Person(name, first[name], times) for name in names]
        teachers = [technician] + [
            Person("technician", password, times) for _ in range(TEACHERS - 1)
        ]
        times.clear()
        ending = threading.Event()
        people = [threading.Thread(target=_teach, args=(one, ending)) for one in teachers]
        people += [
            threading.Thread(target=_work, args=(one, n, ending))
            for n, one in enumerate(students, 1)
        ]
        cpu, began = _cpu_s(pid), time.monotonic()
        say(f"load: {TEACHERS} teachers at the wall, {SEATS} students, {seconds:.0f} s")
        for one in people:
            one.start()
        time.sleep(seconds)
        ending.set()
        for one in people:
            one.join()
        took = time.monotonic() - began
        used = (_cpu_s(pid) - cpu) / took
    shown = {
        what: {
            "answers": len(found),
            "per_s": round(len(found) / took, 1),
            "median_ms": round(statistics.median(found), 1),
            "p95_ms": round(statistics.quantiles(found, n=20)[-1], 1),
        }
        for what, found in sorted(times.items())
    }
    print(json.dumps({**shown, "processors_used": round(used, 2)}, indent=2))
    return 0


def _teach(person: Person, ending: threading.Event) -> None:
    """As wall.js: all seats each 2 s, the pictures of those on the screen each 3 s."""
    person.page("/classrooms/net/")
    while not ending.wait(2):
        person.api("/classrooms/net")
        for number in range(1, VISIBLE + 1):
            person.api(f"/classrooms/net/seats/{number}/screenshot")


def _work(person: Person, number: int, ending: threading.Event) -> None:
    """Opens its machine, and comes back to it every now and then."""
    ending.wait(number % 20 / 2)
    while not ending.wait(10):
        person.page(f"/classrooms/net/{number}/")
        person.api(f"/classrooms/net/seats/{number}/console", post=True)


def _cpu_s(pid: int) -> float:
    """Of the process and its children, so far."""
    total = 0.0
    for one in [str(pid), *_children(pid)]:
        try:
            fields = Path(f"/proc/{one}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1]
        except OSError:
            continue
        user, system = fields.split()[11:13]
        total += (int(user) + int(system)) / _TICKS
    return total


def _children(pid: int) -> list[str]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.split()


if __name__ == "__main__":
    sys.exit(main())
