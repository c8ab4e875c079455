"""Calls to libvirt: with a limit, repeated when the connection broke, with errors of ours."""

from __future__ import annotations

import atexit
import re
from collections.abc import Callable
from typing import Any, TypeVar

import libvirt
from lxml import etree

from pizarra.compute.connection_pool import ConnectionPool
from pizarra.errors import ComputeFault, HostNotFit
from pizarra.model.sentence import N_, Sentence
from pizarra.system.flight import record

T = TypeVar("T")
# libvirt-python has no types
Connection = Any
VirDomain = Any
VirNetwork = Any

_OWNERS = re.compile(r"\+?([0-9]+):\+?([0-9]+)")
QUICK_S = 30.0
SLOW_S = 180.0  # to start or destroy: thirty machines at once wait for each other

_AUTH = frozenset({libvirt.VIR_ERR_AUTH_FAILED, libvirt.VIR_ERR_AUTH_CANCELLED})
_ABSENT = frozenset(
    {
        libvirt.VIR_ERR_NO_DOMAIN,
        libvirt.VIR_ERR_NO_NETWORK,
        libvirt.VIR_ERR_NO_STORAGE_POOL,
        libvirt.VIR_ERR_NO_STORAGE_VOL,
    }
)

# libvirt-python asks for the error after the call. An object of libvirt that Python frees between
# the two makes libvirt forget the error (virDomainFree), and then it has no domain: seen once.
_AGAIN = frozenset({libvirt.VIR_FROM_RPC, None})

# libvirt prints every error to stderr unless a handler is registered
libvirt.registerErrorHandler(lambda _context, _error: None, None)


class LibvirtConnections:
    """The connections to one libvirt URI."""

    def __init__(self, uri: str, quick_s: float = QUICK_S) -> None:
        self.uri = uri
        self._quick_s = quick_s
        self._pool: ConnectionPool[Connection] = ConnectionPool(self._connect, _is_alive)
        # libvirtd writes an error into its log for each client that goes without closing
        atexit.register(self.close)

    def close(self) -> None:
        """Close the idle connections."""
        atexit.unregister(self.close)
        self._pool.close()

    def do(
        self, what: str, which: str, work: Callable[[Connection], T], limit_s: float | None = None
    ) -> T:
        """Run ``work`` on a connection and return its result.

        ``what`` and ``which`` name the call in errors and in the flight record. A call whose
        connection broke is made once more, so ``work`` must be safe to repeat. Raises
        ComputeFault, HostNotFit.
        """
        record(f"libvirt {what} {which}")
        limit_s = limit_s or self._quick_s
        for last in (False, True):
            try:
                return self._pool.call(work, limit_s)
            except TimeoutError:
                raise _timeout_fault(what, which, limit_s) from None
            except libvirt.libvirtError as error:
                if last or error.get_error_domain() not in _AGAIN:
                    raise _refusal(what, which, error) from None
                if error.get_error_domain() == libvirt.VIR_FROM_RPC:
                    self._pool.hang_up()
        raise AssertionError("the last try returns or raises")

    def _connect(self) -> Connection:
        try:
            return libvirt.open(self.uri)
        except libvirt.libvirtError as error:
            raise _connection_fault(self.uri, error) from None


def _is_alive(conn: Connection) -> bool:
    return bool(conn.isAlive())


def _ask(uri: str, which: str, question: Callable[[Connection], T], limit_s: float) -> T:
    """One question, on connections of its own."""
    connections = LibvirtConnections(uri, limit_s)
    try:
        return connections.do(N_("tell"), which, question, limit_s)
    finally:
        connections.close()


def libvirt_version(uri: str, limit_s: float = 10) -> tuple[int, int, int]:
    """The version of the daemon, such as (9, 0, 0). Raises HostNotFit, ComputeFault."""
    number = _ask(uri, Sentence("its version"), lambda conn: int(conn.getLibVersion()), limit_s)
    return number // 1_000_000, number // 1000 % 1000, number % 1000


def qemu_user(uri: str, limit_s: float = 10) -> tuple[int, int] | None:
    """User and group that QEMU runs as (``user`` and ``group`` in qemu.conf), by the capabilities
    of the host; None where libvirt does not say. Raises HostNotFit, ComputeFault."""
    which = Sentence("its capabilities")
    xml = _ask(uri, which, lambda conn: str(conn.getCapabilities()), limit_s)
    for model in etree.fromstring(xml).iterfind("host/secmodel"):
        label = model.findtext("baselabel", "")  # +64055:+108
        if model.findtext("model") == "dac" and (found := _OWNERS.fullmatch(label)):
            return int(found[1]), int(found[2])
    return None


def or_none(look_up: Callable[[str], T], key: str) -> T | None:
    """What ``look_up`` finds; None when libvirt knows no such domain, network, pool or volume."""
    try:
        return look_up(key)
    except libvirt.libvirtError as error:
        if error.get_error_code() in _ABSENT:
            return None
        raise


def _refusal(what: str, which: str, error: libvirt.libvirtError) -> ComputeFault:
    return ComputeFault(
        "libvirt could not {what} {which}: {said}.",
        "More is in the log: journalctl -u libvirtd; and in /var/log/libvirt/qemu",
        what=what,
        which=which,
        said=(error.get_error_message() or "it gave no reason").rstrip("."),
        code=error.get_error_code(),
    )


def _timeout_fault(what: str, which: str, limit_s: float) -> ComputeFault:
    return ComputeFault(
        "libvirt did not {what} {which} within {limit:g} s.",
        "If it does not answer at all: systemctl restart libvirtd; running machines survive that.",
        what=what,
        which=which,
        limit=limit_s,
    )


def _connection_fault(uri: str, error: libvirt.libvirtError) -> HostNotFit:
    allowed = error.get_error_code() not in _AUTH
    return HostNotFit(
        "libvirt cannot be reached at {uri}: {said}.",
        "Start it: systemctl start libvirtd" if allowed else "Run this as root.",
        uri=uri,
        said=(error.get_error_message() or "it gave no reason").rstrip("."),
        code=error.get_error_code(),
    )
