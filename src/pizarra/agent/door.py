"""The agent's end of the protocol: a Unix socket that answers one user, and root.

A question is one line of JSON, the answer too. The bytes of a picture or a file follow the answer;
a console comes with it as a file descriptor.
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import stat
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pizarra.agent.agent import Agent
from pizarra.agent.translations import error_json
from pizarra.errors import BadInput, HostNotFit, PizarraError
from pizarra.model.policy import ResetBy
from pizarra.system.own_folder import opening_folder

_CREDENTIALS = struct.Struct("3i")  # struct ucred of unix(7)
_LINE_BYTES_MOST = 256 * 1024  # a classroom's file may be 64 KiB
_WAIT_MOST_S = 10.0
_FDS_MOST = 1  # with a question


class _Caller(socketserver.StreamRequestHandler):
    """One question."""

    server: Door
    fds: list[int]

    def handle(self) -> None:
        peer = self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(peer)[1] not in (0, self.server.user_id):
            return
        first, fds, _, _ = socket.recv_fds(self.connection, 1, _FDS_MOST)
        self.fds = fds
        for fd in fds:
            os.set_inheritable(fd, False)
        try:
            line = first if first == b"\n" else first + self.rfile.readline(_LINE_BYTES_MOST)
            self._answer(dict(json.loads(line)))
        except PizarraError as error:
            self._send({"error": error_json(error)})
        except (ValueError, TypeError, KeyError) as error:
            bad = BadInput("The question cannot be understood: {why}.", why=repr(error))
            self._send({"error": error_json(bad)})
        except BrokenPipeError:
            return  # whoever asked has gone
        finally:
            for fd in fds:
                os.close(fd)

    def _answer(self, question: dict[str, Any]) -> None:
        agent = self.server.agent
        match question.get("ask"):
            case "query":
                command, by = str(question["command"]), ResetBy(question["by"])
                dry_run = bool(question.get("dry_run"))
                answer = agent.query(command, dict(question["arguments"]), by, dry_run=dry_run)
                self._send({"answer": answer})
            case "submit":
                command, by = str(question["command"]), ResetBy(question["by"])
                arguments, job = dict(question["arguments"]), str(question["job"])
                new = agent.submit(job, command, arguments, by, self.fds[0] if self.fds else None)
                self._send({"answer": new})
            case "events":
                wait_s = min(_WAIT_MOST_S, float(question.get("wait_s", 0)))
                job, since = str(question["job"]), int(question["since"])
                self._send({"answer": agent.events(job, since, wait_s)})
            case "record_activity":
                agent.record_activity(str(question["classroom"]), int(question["number"]))
                self._send({"answer": True})
            case "activity":
                numbers = [int(one) for one in question["numbers"]]
                self._send({"answer": agent.activity(str(question["classroom"]), numbers)})
            case "halt":
                answer = agent.halt(str(question["classroom"]), int(question["number"]))
                self._send({"answer": answer})
            case "screenshot":
                picture = agent.screenshot(str(question["classroom"]), int(question["number"]))
                self._send_bytes(len(picture), [picture])
            case "file":
                self._send_bytes(*agent.file(str(question["name"])))
            case "console":
                self._send_console(str(question["classroom"]), int(question["number"]))
            case other:
                raise BadInput("Nobody answers the question {name!r}.", name=str(other))

    def _send(self, document: dict[str, Any]) -> None:
        self.wfile.write(json.dumps(document).encode() + b"\n")

    def _send_bytes(self, size_bytes: int, pieces: Iterable[bytes]) -> None:
        self._send({"bytes": size_bytes})
        for piece in pieces:
            self.wfile.write(piece)

    def _send_console(self, classroom: str, number: int) -> None:
        fd = self.server.agent.console(classroom, number)
        try:
            socket.send_fds(self.connection, [b'{"answer": true}\n'], [fd])
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
