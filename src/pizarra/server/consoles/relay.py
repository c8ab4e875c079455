"""The relay of bytes between a browser and the VNC server of a machine."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from asgiref.sync import sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import DatabaseError

from pizarra.errors import PizarraError
from pizarra.server.consoles.activity import Activity
from pizarra.server.consoles.tickets import Admission, admit, is_still_admitted
from pizarra.server.hosts import host
from pizarra.server.streams import Proof, looking

NOT_ADMITTED, NO_MACHINE, LET_GO = 4403, 4404, 4410


class Console(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One browser that looks at one machine."""

    vnc: socket.socket | None = None
    admission: Admission | None = None
    tasks: tuple[asyncio.Task[None], ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.activity = Activity()

    async def connect(self) -> None:
        """Check the ticket, and connect to the machine."""
        ticket = self.scope["url_route"]["kwargs"]["ticket"]
        found = await sync_to_async(admit)(ticket, self.scope["user"])
        await self.accept("binary" if "binary" in self.scope["subprotocols"] else None)
        if found is None:
            await self.close(NOT_ADMITTED)
            return
        self.admission = found
        try:
            self.vnc = await sync_to_async(host().console)(
                found.classroom, found.number, found.classroom_id
            )
        except PizarraError:
            await self.close(NO_MACHINE)
            return
        self.vnc.setblocking(False)
        self.tasks = (
            asyncio.create_task(self._to_browser(self.vnc)),
            asyncio.create_task(self._let_go(found)),
        )

    async def _to_browser(self, vnc: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while data := await loop.sock_recv(vnc, 1 << 16):
                await self.send(bytes_data=data)
        await self.close(NO_MACHINE)

    async def _let_go(self, admission: Admission) -> None:
        """Close it when the user may not look any longer, or nobody can tell: the database is
        gone. Whoever may asks for another ticket."""
        proof = Proof(session_key=self.scope["session"].session_key or "")
        with contextlib.suppress(DatabaseError), looking() as look:
            while await sync_to_async(is_still_admitted)(admission, proof):
                await look.next()
        await self.close(LET_GO)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Send keys and the mouse to the machine."""
        _ = text_data
        if self.vnc is not None and self.admission is not None and bytes_data:
            if self.activity.is_due(bytes_data):
                seat = self.admission.classroom, self.admission.number
                with contextlib.suppress(PizarraError):  # a note; the keys go on all the same
                    await sync_to_async(host().record_activity)(*seat)
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
