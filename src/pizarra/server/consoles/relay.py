"""The relay of bytes between a browser and the VNC server of a machine."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import DatabaseError

from pizarra.errors import PizarraError
from pizarra.server.consoles.activity import Activity
from pizarra.server.consoles.tickets import Admission, admit, is_still_admitted
from pizarra.server.hosts import host
from pizarra.server.streams import Look, Proof, looking

NOT_ADMITTED, NO_MACHINE, LET_GO = 4403, 4404, 4410
# Consoles have no thread of a request. An agent that does not answer must keep no look waiting
_ASKING, _LOOKING = ThreadPoolExecutor(8), ThreadPoolExecutor(4)
T = TypeVar("T")


async def _asked(question: Callable[..., T], *given: object) -> T:
    """The answer of the agent."""
    return await sync_to_async(question, thread_sensitive=False, executor=_ASKING)(*given)


async def _looked_up(look: Callable[..., T], *given: object) -> T:
    """What the database says."""
    ask = database_sync_to_async(look, thread_sensitive=False, executor=_LOOKING)
    found: T = await ask(*given)
    return found


class Console(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One browser that looks at one machine."""

    vnc: socket.socket | None = None
    admission: Admission | None = None
    tasks: tuple[asyncio.Task[None], ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.activity = Activity()
        self.held = contextlib.ExitStack()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve until the socket is closed, and then count it no longer, however it ended."""
        with self.held:
            await super().__call__(scope, receive, send)

    async def connect(self) -> None:
        """Check the ticket, and connect to the machine."""
        ticket = self.scope["url_route"]["kwargs"]["ticket"]
        found = await _looked_up(admit, ticket, self.scope["user"])
        await self.accept("binary" if "binary" in self.scope["subprotocols"] else None)
        if found is None:
            await self.close(NOT_ADMITTED)
            return
        self.admission = found
        try:
            look = self.held.enter_context(looking(found.whose))
            self.vnc = await _asked(
                host().console, found.classroom, found.number, found.classroom_id
            )
        except PizarraError:
            await self.close(NO_MACHINE)
            return
        self.vnc.setblocking(False)
        self.tasks = (
            asyncio.create_task(self._to_browser(self.vnc)),
            asyncio.create_task(self._let_go(found, look)),
        )

    async def _to_browser(self, vnc: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while data := await loop.sock_recv(vnc, 1 << 16):
                await self.send(bytes_data=data)
        await self.close(NO_MACHINE)

    async def _let_go(self, admission: Admission, look: Look) -> None:
        """Close it when the user may not look any longer, or nobody can tell: the database is
        gone. Whoever may asks for another ticket."""
        proof = Proof(session_key=self.scope["session"].session_key or "")
        with contextlib.suppress(DatabaseError):
            while await _looked_up(is_still_admitted, admission, proof):
                await look.next()
        self._hang_up()
        await self.close(LET_GO)

    def _hang_up(self) -> None:
        """From now on nothing goes to the machine, also when the browser does not close."""
        self.admission = None
        self.tasks[0].cancel()
        if self.vnc is not None:
            with contextlib.suppress(OSError):
                self.vnc.shutdown(socket.SHUT_RDWR)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Send keys and the mouse to the machine."""
        _ = text_data
        if self.vnc is not None and self.admission is not None and bytes_data:
            if self.activity.is_due(bytes_data):
                seat = self.admission.classroom, self.admission.number
                with contextlib.suppress(PizarraError):  # a note; the keys go on all the same
                    await _asked(host().record_activity, *seat)
            with contextlib.suppress(OSError):
                await asyncio.get_running_loop().sock_sendall(self.vnc, bytes_data)

    async def disconnect(self, code: int) -> None:
        """Close the connection to the machine when the browser goes."""
        _ = code
        for task in self.tasks:
            task.cancel()
        if self.vnc is not None:
            self.vnc.close()
            self.vnc = None
