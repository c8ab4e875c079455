"""What the attacks of ``test_exhaustion`` cost the server: ``python -m tests.attack.figures``.

Prints for each attack the most memory of the pages and of the agent in MiB, and their threads,
as a table for docs/reliability.md. Run it as root, on a machine with nothing else to do.
"""

from __future__ import annotations

import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.attack import fuzz
from tests.attack.served import Served, memory_kib, serving, threads
from tests.attack.test_exhaustion import connect, post

_LOOK_EVERY_S = 0.05


@contextmanager
def _watching(served: Served, what: str) -> Iterator[None]:
    """Print the most of everything while the block lasts."""
    pids, ended = (served.pages, served.process.pid), threading.Event()
    most: dict[int, int] = {}
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # VmHWM begins anew: proc(5)

    def look() -> None:
        while not ended.wait(_LOOK_EVERY_S):
            for pid in pids:
                most[pid] = max(most.get(pid, 0), threads(pid))

    looking = threading.Thread(target=look)
    looking.start()
    yield
    ended.set()
    looking.join()
    found = (f"{memory_kib(pid) // 1024} | {most.get(pid, 0)}" for pid in pids)
    sys.stdout.write(f"| {what} | {' | '.join(found)} |\n")
    sys.stdout.flush()


def _half_requests(served: Served) -> None:
    with ExitStack() as stack:
        for _ in range(150):
            stack.enter_context(connect(served)).sendall(b"GET / HTTP/1.1\r\nHost: x")
        time.sleep(5)


def _sign_ins(served: Served) -> None:
    guessing = [
        threading.Thread(target=post, args=(served, f"127.0.5.{n}", f"name{n}", "wrong"))
        for n in range(1, 101)
    ]
    for one in guessing:
        one.start()
    for one in guessing:
        one.join()


def _bodies(served: Served) -> None:
    """Forty bodies without an end, of ten addresses, to where the longest are allowed."""

    def send(source: str) -> None:
        with connect(served, source) as visitor, suppress(OSError):
            visitor.sendall(
                b"PUT /api/v1/uploads/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            while True:
                visitor.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    sending = [threading.Thread(target=send, args=(f"127.0.6.{n % 10 + 1}",)) for n in range(40)]
    for one in sending:
        one.start()
    for one in sending:
        one.join()


def _silent_callers(served: Served) -> None:
    with ExitStack() as stack:
        for _ in range(600):
            caller = stack.enter_context(socket.socket(socket.AF_UNIX))
            caller.setblocking(False)
            with suppress(BlockingIOError):
                caller.connect(str(served.door))
        time.sleep(5)


ATTACKS: dict[str, Callable[[Served], object]] = {
    "nothing, for 5 s": lambda _: time.sleep(5),
    "150 half requests": _half_requests,
    "100 sign-ins at once": _sign_ins,
    "40 bodies without an end": _bodies,
    "600 silent callers at the door": _silent_callers,
    "1,000 requests at random": lambda served: fuzz.ask_pages(served, 1000, 1),
    "1,000 questions at random": lambda served: fuzz.ask_door(served.door, 1000, 1),
}


def main() -> int:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="pizarra-figures-") as name:
        Path(name).chmod(0o755)
        with serving(Path(name)) as served:
            sys.stdout.write("| Attack | Pages, MiB | Threads | Agent, MiB | Threads |\n")
            sys.stdout.write("|---|---|---|---|---|\n")
            for what, attack in ATTACKS.items():
                with _watching(served, what):
                    attack(served)
    return 0


if __name__ == "__main__":
    sys.exit(main())
