"""`pizarra serve`: the agent here, as root; the pages and the pump beside it, as an ordinary user.

The user's processes read and write the database and speak with the agent's door; they can do
nothing to the host. Where we are not root ourselves (a demonstration), all are the same user. With
systemd the user's processes have a unit of their own (``serve_pages``).
"""

from __future__ import annotations

import os
import pwd
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from pizarra.agent.agent import Agent
from pizarra.agent.door import Door
from pizarra.compute.memory import MemoryCompute
from pizarra.engine.host import Host
from pizarra.engine.memory_host import memory_host
from pizarra.errors import HostNotFit, NotFound
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.labels import FillingLabels, TemplateLabels
from pizarra.model.sizes import GIB, MIB
from pizarra.server.first_code import make_first_code
from pizarra.server.folders import lay_out, make_server_folder
from pizarra.server.prepare import FIRST_PASSWORD, HAD_TECHNICIAN
from pizarra.service import classrooms, verbs
from pizarra.service.context import Context
from pizarra.settings import Settings
from pizarra.storage.demonstration import demonstration_store
from pizarra.storage.interface import NewVolume
from pizarra.system.notify import tell_systemd
from pizarra.system.process import beside, run_as

_PREPARE_S = 300.0
_LEAVING_S = 30.0  # less than TimeoutStopSec in packaging/systemd
_SIGNAL_S = 2.0  # between a signal to the pages and ours
_PAGES_S = 120.0  # a slow machine's Python takes its time
Say = Callable[[str, str, bool], None]  # the address, a password that was made, no technician


class Part(StrEnum):
    """What of the server a process serves. The units of systemd have the agent and the pages each
    in one, with limits of its own."""

    ALL = "all"
    AGENT = "agent"
    PAGES = "pages"


def serve(
    settings: Settings,
    host: Host,
    say: Say,
    ready: Callable[[], None] | None = None,
    *,
    is_private: bool = True,
) -> None:
    """Serve until a signal ends the process. ``ready`` may add to the database before that, in a
    process of the user of the pages. ``is_private``: nobody but who started us reads what we say,
    so the first technician is made at once, with a password that is said.

    Raises HostNotFit when the pages cannot be served.
    """
    user = _lay_out(settings)
    _name_folders(settings, host.settings)
    first = secrets.token_urlsafe(9) if is_private else ""
    had_technician = _prepare(user, first)
    if ready is not None and not run_as(user, ready):
        raise HostNotFit("The server's database could not be filled.", "What it said is above.")
    stopping = _stopping_at_signals()
    with _serving_agent(host, user, stopping):
        told = ("" if had_technician else first, not (had_technician or first))
        _run_pages(settings, user, partial(say, _address(settings), *told), stopping)


def serve_agent(settings: Settings, host: Host) -> None:
    """Serve the agent alone, as root, until a signal ends the process. Raises HostNotFit."""
    user = _lay_out(settings)
    stopping = _stopping_at_signals()
    with _serving_agent(host, user, stopping):
        tell_systemd("READY=1")
        stopping.wait()


def serve_pages(settings: Settings, say: Say) -> None:
    """Serve the pages alone, as their user, until a signal ends the process. Raises HostNotFit."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    if user != settings.server_user:
        raise HostNotFit(
            "The pages run as {user}, and the setting server_user names {other}.",
            "Say the same in both: systemctl edit pizarra-pages",
            user=user,
            other=settings.server_user,
        )
    _name_folders(settings, settings)
    had_technician = _prepare("")
    told = partial(say, _address(settings), "", not had_technician)
    _run_pages(settings, "", told, _stopping_at_signals())


def show_first_code(settings: Settings) -> tuple[str, str]:
    """Make a code for the first visit: its page, and the code. Raises HostNotFit."""
    _lay_out(settings)
    return f"{_address(settings)}first/", make_first_code(settings)


def _lay_out(settings: Settings) -> str:
    user = lay_out(settings)
    if user:
        _check_readable(user)
    return user


def _name_folders(settings: Settings, host: Settings) -> None:
    """For the children: the folders of the server, and of the agent's host (in memory or not)."""
    os.environ |= {"PIZARRA_SERVER_FOLDER": str(settings.server_folder),
                   "PIZARRA_RUN_FOLDER": str(host.run_folder),
                   "DJANGO_SETTINGS_MODULE": "pizarra.server.project.settings"}  # fmt: skip


def _address(settings: Settings) -> str:
    return f"http{'s' * settings.server_self_signed}://{settings.server_listen}/"


class _Stopping(threading.Event):
    """Set when the server is to end: a signal asked for that, or a process of it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()

    def ask(self, *_: object) -> None:
        """A signal came."""
        self.asked.set()
        self.set()


def _stopping_at_signals() -> _Stopping:
    stopping = _Stopping()
    for signalled in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signalled, stopping.ask)
    return stopping


@contextmanager
def _serving_agent(host: Host, user: str, stopping: threading.Event) -> Iterator[None]:
    agent = Agent(host)
    user_id = pwd.getpwnam(user).pw_uid if user else os.geteuid()
    door = Door(host.settings.agent_socket, agent, user_id)
    threading.Thread(target=door.serve_forever, daemon=True).start()
    threading.Thread(target=agent.run_guard, args=(stopping,), daemon=True).start()
    try:
        yield
    finally:
        door.shutdown()


def end_in_time(status: int) -> None:
    """End this process with ``status`` within half a minute, whatever its threads still do. Python
    waits for each thread of a pool, and a job that is cut off may wait for a guest for minutes. The
    journal knows what the job was about."""

    def end() -> None:
        time.sleep(_LEAVING_S)
        os._exit(status)

    threading.Thread(target=end, daemon=True).start()


def _run_pages(settings: Settings, user: str, say: Callable[[], None], stopping: _Stopping) -> None:
    """Run the pages and the pump until we are told to stop, or one of them ends.

    Whoever stops all our processes at once may end the pages before our own signal comes: that is
    no failure. Raises HostNotFit when they ended by themselves.
    """
    with _child("pump", user) as pump, _child("web", user) as web:
        _answers(settings.server_listen, lambda: web.poll() is not None)
        say()
        for child in (pump, web):
            threading.Thread(target=_watch, args=(child.wait, stopping), daemon=True).start()
        stopping.wait()
        was_asked = stopping.asked.wait(_SIGNAL_S)
    if not was_asked:
        raise HostNotFit("The pages ended by themselves.", "What they said is above.")


def _child(module: str, user: str) -> AbstractContextManager[Any]:
    """A process of the server beside the agent, as the user of the pages."""
    return beside([sys.executable, "-m", f"pizarra.server.{module}"], user)


def _prepare(user: str, password: str = "") -> bool:
    """Prepare the database. Returns whether there was a technician before; else one is made, when
    there is a password for them."""
    os.environ[FIRST_PASSWORD] = password  # root and the user of the pages can read it there
    try:
        with _child("prepare", user) as child:
            status = child.wait(_PREPARE_S)
    finally:
        del os.environ[FIRST_PASSWORD]
    if status not in (0, HAD_TECHNICIAN):
        raise HostNotFit("The server's database could not be made.", "What it said is above.")
    return bool(status == HAD_TECHNICIAN)


def _answers(listen: str, ended: Callable[[], bool]) -> None:
    """Wait until the pages answer, or have ended."""
    host, _, port = listen.rpartition(":")
    deadline = time.monotonic() + _PAGES_S
    while not ended() and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), 5):
            return
        time.sleep(0.1)


def _watch(wait: Callable[[], int], stopping: threading.Event) -> None:
    wait()
    stopping.set()


def _check_readable(user: str) -> None:
    """Check that the user of the pages can read the program. A checkout under /root is closed to
    them."""
    here = Path(__file__).resolve()
    closed = [one for one in here.parents if user != "root" and not one.stat().st_mode & 0o005]
    if closed:
        raise HostNotFit(
            "The user {user} cannot read {path}, where Pizarra is.",
            "Install it for everybody with `make install`, or open that folder: chmod o+rx {path}",
            user=user,
            path=closed[-1],
        )


def demonstration_settings(settings: Settings) -> Settings:
    """With the claims and the records in the server's folder, apart from those of this machine."""
    apart = settings.server_folder / "demonstration"
    return settings.model_copy(update={"state_folder": apart, "run_folder": apart / "run"})


def demonstration_host(
    settings: Settings, seats: int, compute: MemoryCompute | None = None
) -> Host:
    """A host in memory with a classroom that runs: to look at the pages without any machine."""
    make_server_folder(settings)
    storage = demonstration_store()
    host = memory_host(storage, compute or MemoryCompute(), demonstration_settings(settings))
    labels = TemplateLabels(template="debian", version=1)
    new = NewVolume(labels=FillingLabels(becoming=labels), size_bytes=8 * GIB, name="debian.v1.vda")
    golden = storage.create_golden(new)
    storage.seal_golden(golden, labels)
    context = Context(host)
    if not 1 <= seats <= 1000:
        raise NotFound("A demonstration has 1 to 1000 seats.")
    spec = ClassroomSpec(name="net", template="debian", seats=seats, memory_bytes=2048 * MIB,
                         storage=storage.kind)  # fmt: skip
    classrooms.create(context, spec)
    verbs.start(context, "net")
    for number in range(1, seats + 1, 3):  # some students have done something
        storage.write(f"net-{number:02d}.vda", 0, bytes(4096) + b"x" * (number * 65536 % (3 << 20)))
    return host
