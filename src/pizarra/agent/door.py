"""The agent's end of the protocol: a Unix socket that answers one user, and root.

A question is one line of JSON, the answer too. The bytes of a picture or a file follow the answer;
a console comes with it as a file descriptor.

The door answers so many callers at once, and each of them has so many seconds to ask and to read.
The next caller waits in the kernel's queue of the socket.
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import stat
import struct
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pizarra.agent.agent import Agent
from pizarra.agent.questions import (
    Activity,
    Console,
    Events,
    File,
    Halt,
    Query,
    RecordActivity,
    Screenshot,
    Submit,
    parse_question,
)
from pizarra.agent.translations import error_json
from pizarra.errors import BadInput, HostNotFit, PizarraError
from pizarra.system.own_folder import opening_folder

_CREDENTIALS = struct.Struct("3i")  # struct ucred of unix(7)
_LINE_BYTES_MOST = 256 * 1024  # a classroom's file may be 64 KiB
_WAIT_MOST_S = 10.0
_FDS_MOST = 1  # with a question
CALLERS_AT_ONCE = 64  # more than the pages answer at once, with the pump's jobs
ASKING_S = 5.0
_READING_S = 60.0  # for a piece of the answer, at most 1 MiB
_QUEUE_S = 10.0


class _Caller(socketserver.BaseRequestHandler):
    """One question."""

    server: Door
    request: socket.socket
    fds: list[int]

    def handle(self) -> None:
        peer = self.request.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(peer)[1] not in (0, self.server.user_id):
            return
        self.fds = []
        # whoever asked may have gone, or neither ask nor read
        with suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
            try:
                line = self._read_line()
                self.request.settimeout(_READING_S)
                self._answer(line)
            except PizarraError as error:
                self._send({"error": error_json(error)})
            finally:
                for fd in self.fds:
                    os.close(fd)

    def _read_line(self) -> bytes:
        """The question, whole within a few seconds. Raises TimeoutError, BadInput.

        One that is too long is read to its end and dropped: a connection that is closed before
        takes the answer with it.
        """
        due, line, is_too_long = time.monotonic() + ASKING_S, bytearray(), False
        while not line.endswith(b"\n"):
            self.request.settimeout(max(0.001, due - time.monotonic()))
            piece, fds, _, _ = socket.recv_fds(self.request, 1 << 16, _FDS_MOST)
            self.fds += fds
            for fd in fds:
                os.set_inheritable(fd, False)
            line += piece
            if time.monotonic() > due:
                raise TimeoutError
            if len(line) > _LINE_BYTES_MOST:
                is_too_long = True
                del line[:-1]
            if not piece or len(self.fds) > _FDS_MOST:
                break
        if is_too_long or len(self.fds) > _FDS_MOST:
            raise BadInput("A question has at most {n} bytes and a file.", n=_LINE_BYTES_MOST)
        return bytes(line)

    def _answer(self, line: bytes) -> None:
        agent = self.server.agent
        match parse_question(line):
            case Query(command=command, arguments=arguments, by=by) as query:
                answer = agent.query(
                    command,
                    arguments,
                    by,
                    dry_run=query.dry_run,
                    classroom_id=query.classroom_id,
                )
                self._send({"answer": answer})
            case Submit(job=job, command=command, arguments=arguments, by=by) as wish:
                upload = self.fds[0] if self.fds else None
                new = agent.submit(job, command, arguments, by, upload, wish.classroom_id)
                self._send({"answer": new})
            case Events(job=job, since=since, wait_s=wait_s):
                self._send({"answer": agent.events(job, since, min(_WAIT_MOST_S, wait_s))})
            case RecordActivity(classroom=classroom, number=number):
                agent.record_activity(classroom, number)
                self._send({"answer": True})
            case Activity(classroom=classroom, numbers=numbers):
                self._send({"answer": agent.activity(classroom, numbers)})
            case Halt(classroom=classroom, number=number):
                self._send({"answer": agent.halt(classroom, number)})
            case Screenshot(classroom=classroom, number=number, classroom_id=room):
                picture = agent.screenshot(classroom, number, room)
                self._send_bytes(len(picture), [picture])
            case File(name=name):
                self._send_bytes(*agent.file(name))
            case Console(classroom=classroom, number=number, classroom_id=room):
                self._send_console(classroom, number, room)

    def _send(self, document: dict[str, Any]) -> None:
        self.request.sendall(json.dumps(document).encode() + b"\n")

    def _send_bytes(self, size_bytes: int, pieces: Iterable[bytes]) -> None:
        self._send({"bytes": size_bytes})
        for piece in pieces:
            self.request.sendall(piece)

    def _send_console(self, classroom: str, number: int, classroom_id: str) -> None:
        fd = self.server.agent.console(classroom, number, classroom_id)
        try:
            socket.send_fds(self.request, [b'{"answer": true}\n'], [fd])
        finally:
            os.close(fd)


class Door(socketserver.ThreadingUnixStreamServer):
    """A socket at a path; only root and one user may come in."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: Path, agent: Agent, user_id: int) -> None:
        try:
            with opening_folder(path.parent, make=True, ours=True) as folder:
                os.fchmod(folder, stat.S_IMODE(os.fstat(folder).st_mode) | 0o011)
            path.unlink(missing_ok=True)  # nobody else can put anything in its place
        except OSError as error:
            raise HostNotFit(
                "The agent cannot listen at {path}: {why}.",
                "This folder and those above must be root's alone to write to: ls -ld",
                path=path,
                why=error.strerror,
            ) from None
        super().__init__(str(path), _Caller)
        os.chown(path, user_id, -1)
        path.chmod(0o600)
        self.agent = agent
        self.user_id = user_id
        self._free = threading.BoundedSemaphore(CALLERS_AT_ONCE)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a caller in a thread, when one of the few is free."""
        if self._free.acquire(timeout=_QUEUE_S):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The thread of a caller."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()
