"""Starts processes. No other module does.

A command is a list, never a shell string. A child inherits nothing that changes what it prints:
neither a locale nor a terminal nor a variable of LVM's. Every command has a time limit and is in
the flight record before it runs.
"""

from __future__ import annotations

import os
import pwd
import select
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

from pizarra.errors import CommandFailed, CommandTimedOut, HostNotFit
from pizarra.system.flight import record

_DEATH_S = 5
_LINE_BYTES = 4096  # of a line of a child beside us
# a child that a guest has taken over prints on and on; the longest report of LVM has some MiB
_OUTPUT_BYTES_MOST = 64 << 20
_PIECE_BYTES = 1 << 16
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A process that ended."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


def environment() -> dict[str, str]:
    """The environment of a child: English in UTF-8, a PATH, and our own variables only."""
    kept = {key: value for key, value in os.environ.items() if key.startswith("PIZARRA_")}
    path = [part for part in os.environ.get("PATH", "").split(":") if part.startswith("/")]
    # otherwise LVM prints "File descriptor leaked" for every open descriptor of its parent
    return {
        "PATH": ":".join((*path, _PATH)),
        "LC_ALL": "C.UTF-8",
        "HOME": os.environ.get("HOME", "/root"),
        "LVM_SUPPRESS_FD_WARNINGS": "1",
    } | kept


def run(
    argv: Sequence[str],
    *,
    timeout_s: float = 60,
    check: bool = True,
    input_text: str | None = None,
    pass_fds: Sequence[int] = (),
) -> Completed:
    """Run a command to its end, with the descriptors ``pass_fds`` under the same numbers.

    Raises CommandFailed (with stderr), CommandTimedOut, HostNotFit. A command that prints without
    an end is stopped, and that is CommandFailed also without ``check``.
    """
    record(" ".join(argv))
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL if input_text is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            pass_fds=pass_fds,
        )
    except (FileNotFoundError, PermissionError):
        raise _missing(argv[0]) from None
    try:
        stdout, stderr = _communicate(child, (input_text or "").encode(), timeout_s)
    except subprocess.TimeoutExpired:
        raise timeout_of(argv, timeout_s) from None
    finally:
        _end(child)
    if max(len(stdout), len(stderr)) > _OUTPUT_BYTES_MOST:
        raise CommandFailed(
            "{command} printed more than {n} bytes and was stopped.",
            command=argv[0].rpartition("/")[2],
            n=_OUTPUT_BYTES_MOST,
            argv=" ".join(argv),
        )
    texts = {"stdout": _text(stdout), "stderr": _text(stderr)}
    done = Completed(argv=tuple(argv), returncode=child.returncode, **texts)
    if check and done.returncode != 0:
        raise failure_of(done)
    return done


def _communicate(
    child: subprocess.Popen[bytes], given: bytes, timeout_s: float
) -> tuple[bytes, bytes]:
    """``Popen.communicate``, which has no limit for what a child prints: the rest is left unread.
    Raises TimeoutExpired."""
    deadline = time.monotonic() + timeout_s
    said = {pipe: bytearray() for pipe in (child.stdout, child.stderr) if pipe}
    with selectors.DefaultSelector() as pipes:
        for output in said:
            pipes.register(output, selectors.EVENT_READ)
        if child.stdin:
            pipes.register(child.stdin, selectors.EVENT_WRITE)
        while pipes.get_map() and all(len(one) <= _OUTPUT_BYTES_MOST for one in said.values()):
            ready = pipes.select(deadline - time.monotonic())
            if not ready and time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(child.args, timeout_s)
            for key, _ in ready:
                stream: Any = key.fileobj
                if key.fileobj is child.stdin:
                    given, is_over = _give(stream.fileno(), given)
                else:
                    piece = os.read(stream.fileno(), _PIECE_BYTES)
                    said[stream] += piece
                    is_over = not piece
                if is_over:
                    pipes.unregister(stream)
                    stream.close()
        if not pipes.get_map():
            child.wait(max(0.0, deadline - time.monotonic()))
    stdout, stderr = said.values()
    return bytes(stdout), bytes(stderr)


def _give(fd: int, given: bytes) -> tuple[bytes, bool]:
    """Write some of the input. What is left, and whether that is all."""
    try:
        left = given[os.write(fd, given[: select.PIPE_BUF]) :]  # so much never blocks: pipe(7)
    except BrokenPipeError:
        left = b""
    return left, not left


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


def _end(child: subprocess.Popen[Any]) -> None:
    """Kill a child that still runs. A child that waits for a disk that hangs is left behind."""
    if child.poll() is None:
        child.kill()
    with suppress(subprocess.TimeoutExpired):
        child.wait(_DEATH_S)
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe:
            with suppress(OSError):
                pipe.close()


@contextmanager
def piping(
    argv: Sequence[str], *, timeout_s: float = 5, pass_fds: Sequence[int] = ()
) -> Iterator[subprocess.Popen[str]]:
    """Run a child and read its output as it comes. The end of the block stops the child.

    The child has the descriptors ``pass_fds``, under the same numbers.
    """
    record(" ".join(argv))
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env=environment(),
            pass_fds=pass_fds,
        )
    except (FileNotFoundError, PermissionError):
        raise _missing(argv[0]) from None
    try:
        yield child
    finally:
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout_s)
        _end(child)


@contextmanager
def beside(
    argv: Sequence[str], user: str = "", grace_s: float = 5
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a child for as long as the block lasts, as ``user`` if one is named.

    The child has no terminal: a session of its own, and a pipe for its output, which goes on to
    our standard error. Otherwise an unprivileged child could type into root's terminal (TIOCSTI).
    The child ends when this process does. The end of the block sends TERM, and KILL after
    ``grace_s``.
    """
    record(" ".join(argv))
    argv = ["setpriv", "--no-new-privs", "--pdeathsig", "TERM", "--", *argv]
    who: dict[str, Any] = {}
    if user:
        group = pwd.getpwnam(user).pw_gid
        who = {"user": user, "group": group, "extra_groups": [], "umask": 0o077}
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        **who,
    ) as child:
        assert child.stdout is not None  # asked for above
        relay = threading.Thread(target=_relay, args=(child.stdout,), daemon=True)
        relay.start()
        try:
            yield child
        finally:
            if child.poll() is None:
                child.terminate()
            try:
                child.wait(grace_s)
            except subprocess.TimeoutExpired:
                child.kill()
            relay.join(_DEATH_S)


def _relay(output: IO[bytes]) -> None:
    """Copy what a child says to our standard error, without what a terminal takes for orders."""
    for line in iter(partial(output.readline, _LINE_BYTES), b""):
        text = line.decode(errors="replace").rstrip("\n")
        with suppress(OSError):  # nobody may be listening
            sys.stderr.write("".join(one if one.isprintable() else " " for one in text) + "\n")
            sys.stderr.flush()


def run_as(user: str, act: Callable[[], None]) -> bool:
    """Do something in a child that is this user; in one that is us for "". Whether it went well.

    Only for a process that has one thread: the child is a fork(2) of it.
    """
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    status = 1
    try:
        if user:
            known = pwd.getpwnam(user)
            os.setgroups([])
            os.setresgid(known.pw_gid, known.pw_gid, known.pw_gid)
            os.setresuid(known.pw_uid, known.pw_uid, known.pw_uid)
        act()
        sys.stdout.flush()
        status = 0
    finally:
        if status:
            sys.excepthook(*sys.exc_info())
        os._exit(status)


def failure_of(done: Completed) -> CommandFailed:
    """The error for a process with a bad exit status."""
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return CommandFailed(
        "{command} failed with status {status}: {said}",
        command=done.argv[0].rpartition("/")[2],
        status=done.returncode,
        said="; ".join(said[-3:]) or "it printed no error",
        argv=" ".join(done.argv),
        stderr=done.stderr,
    )


def timeout_of(argv: Sequence[str], timeout_s: float) -> CommandTimedOut:
    """The error for a process that was killed at its time limit."""
    return CommandTimedOut(
        "{command} did not end within {limit:g} s and was stopped.",
        "The flight record of `pizarra report` shows what came before it.",
        command=argv[0].rpartition("/")[2],
        limit=timeout_s,
        argv=" ".join(argv),
    )


def _missing(command: str) -> HostNotFit:
    return HostNotFit(
        "The command {command} is not installed.",
        "`pizarra host check` names the package that has it.",
        command=command,
    )
