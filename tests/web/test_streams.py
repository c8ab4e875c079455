"""Streams that one person opens by the hundred, or does not let go."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.test import AsyncClient, Client

from pizarra.agent.agent import Agent
from pizarra.compute.memory import MemoryCompute
from pizarra.server.consoles.relay import LET_GO, NO_MACHINE, Console
from pizarra.server.consoles.tickets import ticket_for
from pizarra.server.jobs.models import Job
from pizarra.server.people.models import User
from pizarra.server.serve import demonstration_host, demonstration_settings
from pizarra.server.streams import check_few, look_again, looking
from pizarra.settings import Settings
from tests.web.conftest import serving

School = dict[str, User]
pytestmark = pytest.mark.django_db(transaction=True)
_MOST = 8
_DISK_BYTES = 64 << 20


class Screens(MemoryCompute):
    """Machines whose consoles we hold the other end of."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[socket.socket] = []

    def console(self, uuid: str) -> int:
        self._machine(uuid)
        ours, theirs = socket.socketpair()
        self.ends.append(ours)
        return theirs.detach()


@pytest.fixture
def screens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Screens]:
    monkeypatch.setenv("PIZARRA_STATE_FOLDER", str(tmp_path / "state"))
    monkeypatch.setenv("PIZARRA_RUN_FOLDER", str(tmp_path / "run"))
    screens = Screens()
    with serving(Agent(demonstration_host(Settings(), 4, screens))):
        yield screens


class Browser:
    """The other end of a console's socket."""

    def __init__(self, session: Any, user: User, ticket: str) -> None:
        scope = {
            "type": "websocket",
            "url_route": {"kwargs": {"ticket": ticket}},
            "user": user,
            "session": session,
            "subprotocols": [],
        }
        make: Any = ApplicationCommunicator
        self.socket: Any = make(Console.as_asgi(), scope)

    async def open(self) -> None:
        await self.socket.send_input({"type": "websocket.connect"})
        assert (await self.socket.receive_output(10))["type"] == "websocket.accept"

    async def press(self, keys: bytes) -> None:
        await self.socket.send_input({"type": "websocket.receive", "bytes": keys})

    async def end(self) -> None:
        await self.socket.send_input({"type": "websocket.disconnect", "code": 1005})
        await self.socket.wait(10)


def test_console_when_its_user_may_no_longer_look_then_no_key_goes_to_the_machine(
    school: School, screens: Screens, client: Client
) -> None:
    """The browser of an attacker does not close when it is told to."""
    eva = school["eva"]
    client.force_login(eva)
    opened = Browser(client.session, eva, ticket_for(eva, "net", 1))

    async def attack() -> None:
        await opened.open()
        await opened.press(b"before")
        while not screens.ends:
            await asyncio.sleep(0.01)
        (end,) = screens.ends
        assert await asyncio.to_thread(end.recv, 64) == b"before"
        await asyncio.to_thread(client.logout)
        look_again()
        assert (await opened.socket.receive_output(10))["code"] == LET_GO
        await opened.press(b"after")
        end.settimeout(5)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            assert await asyncio.to_thread(end.recv, 64) == b""
        await opened.end()

    asyncio.run(attack())


def test_consoles_when_one_user_opens_them_by_the_dozen_then_few_of_a_seat_are_open(
    school: School, screens: Screens, client: Client
) -> None:
    eva = school["eva"]
    client.force_login(eva)
    ticket, session = ticket_for(eva, "net", 1), client.session
    opened = [Browser(session, eva, ticket) for _ in range(_MOST + 1)]

    async def attack() -> None:
        for one in opened:
            await one.open()
        while len(screens.ends) < _MOST:
            await asyncio.sleep(0.01)
        assert (await opened[-1].socket.receive_output(10))["code"] == NO_MACHINE
        assert len(screens.ends) == _MOST
        for one in opened:
            await one.end()

    asyncio.run(attack())


def test_events_when_one_user_follows_by_the_dozen_then_others_have_their_places(
    school: School,
) -> None:
    eva, ada = school["eva"], school["ada"]
    jobs = {
        who.pk: Job.objects.create(host="local", use_case="start", classroom="net", user=who)
        for who in (eva, ada)
    }

    async def statuses() -> list[int]:
        with contextlib.ExitStack() as stack:
            for _ in range(_MOST):
                stack.enter_context(looking(("events", eva.pk)))
            found = []
            for who in (eva, ada):
                browser = AsyncClient()
                await browser.aforce_login(who)
                answer = await browser.get(f"/api/v1/jobs/{jobs[who.pk].id}/events")
                found.append(answer.status_code)
        return found

    assert asyncio.run(statuses()) == [429, 200]
    check_few(("events", eva.pk))  # they are closed again


def test_export_when_it_is_a_whole_disk_then_the_pages_hold_a_piece_of_it(
    school: School, screens: Screens
) -> None:
    assert screens
    folder = Settings(server_folder=Settings().server_folder)
    exports = demonstration_settings(folder).export_folder
    exports.mkdir(parents=True, exist_ok=True)
    with (exports / "disk.raw").open("wb") as file:
        file.truncate(_DISK_BYTES)

    async def fetch() -> tuple[int, int]:
        browser = AsyncClient()
        await browser.aforce_login(school["tec"])
        tracemalloc.start()
        answer: Any = await browser.get("/api/v1/exports/disk.raw")
        count = 0
        async for piece in answer.streaming_content:
            count += len(piece)
        return count, tracemalloc.get_traced_memory()[1]

    count, most = asyncio.run(fetch())
    tracemalloc.stop()
    assert count == _DISK_BYTES
    assert most < _DISK_BYTES / 4


def test_export_when_its_name_cannot_be_one_then_not_found(
    school: School, screens: Screens, client: Client
) -> None:
    assert screens
    client.force_login(school["tec"])
    for name in ("%00", "a" * 300, "../" * 20 + "etc/shadow"):
        assert client.get(f"/api/v1/exports/{name}").status_code == 404
