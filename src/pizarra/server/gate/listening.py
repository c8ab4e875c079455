"""The socket that the pages listen at. It takes so many connections, and so many of one address.

uvicorn has a limit of connections too (``limit_concurrency``). That limit counts no silent
connection and no TLS handshake, and one address can use all of it.
"""

from __future__ import annotations

import errno
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from pizarra.server.addresses import group_of

CONNECTIONS_MAX = 2000
CONNECTIONS_PER_ADDRESS_MAX = 256  # a class behind one address: six a browser


class _Taken(socket.socket):
    """A connection that says when it is closed."""

    when_closed: Callable[[], None] | None = None

    def close(self) -> None:
        """Close it, and say so once."""
        super().close()
        say, self.when_closed = self.when_closed, None
        if say:
            say()


class Listening(socket.socket):
    """Takes connections within the limits. The connections of ``proxies`` have no limit of their
    own: they bring the visitors of many addresses."""

    taken: Counter[str]
    proxies: Sequence[IPv4Network | IPv6Network] = ()

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection. Raises ConnectionAbortedError when it is one too many; asyncio takes
        the next one then."""
        plain, address = super().accept()
        whose, own_max = group_of(str(address[0])), CONNECTIONS_PER_ADDRESS_MAX
        if any(ip_address(address[0].partition("%")[0]) in one for one in self.proxies):
            own_max = CONNECTIONS_MAX
        if self.taken.total() >= CONNECTIONS_MAX or self.taken[whose] >= own_max:
            plain.close()
            raise ConnectionAbortedError(errno.ECONNABORTED, "one connection too many", whose)
        found = _Taken(plain.family, plain.type, plain.proto, fileno=plain.detach())
        found.when_closed = lambda: self._forget(whose)
        self.taken[whose] += 1
        return found, address

    def _forget(self, whose: str) -> None:
        self.taken[whose] -= 1
        if not self.taken[whose]:
            del self.taken[whose]


def listen_at(listen: str, proxies: Sequence[str] = ()) -> Listening:
    """Bind to an address and port, ``127.0.0.1:8000`` or ``[::1]:8000``.

    ``proxies`` are addresses or networks. Raises OSError.
    """
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = Listening(family, socket.SOCK_STREAM)
    listening.taken = Counter()
    listening.proxies = [ip_network(one, strict=False) for one in proxies]
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        with suppress(OSError):
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        listening.bind((host, int(port)))
    except OSError:
        listening.close()
        raise
    return listening
