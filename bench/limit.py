"""The limit of a rewind: the same device-mapper calls by a bare loop, with nothing around them.

No program can rewind a dm-thin seat with fewer calls: two table swaps and three messages. The loop
packs every call before its clock starts. It holds no lock, asks LVM nothing, looks at no device,
drops no page cache and proves nothing. It overlaps the swaps in threads, expedites RCU and goes
before other work of the host, as the product does.

The loop saves what a seat contains under a thin id of its own, which `clean_up` deletes. So the
volumes are afterwards what they are after a rewind by the product.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from pizarra.system import devmapper
from pizarra.system.rcu import expediting
from pizarra.system.urgency import make_thread_urgent, urgent

_HEADER = struct.Struct("=3I I I I i I I I Q 128s 129s 7x")  # linux/dm-ioctl.h
_TARGET = struct.Struct("=QQiI16s")
_SUSPEND, _LOAD, _MESSAGE = 0xC138FD06, 0xC138FD09, 0xC138FD0E
_EVENT = 0x80440000  # tells udev to start no process: packaging/udev/09-pizarra-rewind.rules
_NO_FLUSH = 1 << 10 | 1 << 11  # and no freeze of a file system
_SAVED = 2 << 20  # thin ids from here on belong neither to LVM nor to the product
THREADS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatIds:
    """What the loop must know of a seat: its device, and the thin ids of its pool."""

    device: str  # as device-mapper names it
    thin_id: int
    baseline_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Calls:
    """The calls for one seat, packed: (request, argument) each."""

    to_error: tuple[tuple[int, bytes], ...]
    messages: tuple[tuple[int, bytes], ...]
    back: tuple[tuple[int, bytes], ...]
    clean_up: tuple[tuple[int, bytes], ...]


class BareLoop:
    """Rewinds of the same seats, again and again."""

    def __init__(self, pool_device: str, seats: Sequence[SeatIds], threads: int = THREADS) -> None:
        self._control = os.open(devmapper.CONTROL, os.O_RDWR | os.O_CLOEXEC)
        self._threads = ThreadPoolExecutor(threads, initializer=make_thread_urgent)
        self._calls = [_packed(pool_device, seat) for seat in seats]

    @contextmanager
    def ready(self) -> Iterator[None]:
        """The block's rewinds run with expediting RCU, before other work of the host."""
        with expediting(), urgent():
            yield

    def rewind(self) -> None:
        """Rewind all seats. Raises OSError, upon which a seat may stand on its error table."""
        list(self._threads.map(lambda one: self._run(one.to_error), self._calls))
        for one in self._calls:
            self._run(one.messages)
        list(self._threads.map(lambda one: self._run(one.back), self._calls))

    def clean_up(self) -> None:
        """Delete what the last rewind saved."""
        for one in self._calls:
            self._run(one.clean_up)

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown()
        os.close(self._control)

    def _run(self, calls: Sequence[tuple[int, bytes]]) -> None:
        for request, argument in calls:
            fcntl.ioctl(self._control, request, argument)


def _packed(pool_device: str, seat: SeatIds) -> _Calls:
    pool, device = devmapper.device(pool_device), devmapper.device(seat.device)
    assert pool and device, (pool_device, seat)
    length = device.targets[0].length
    swap = (_SUSPEND, _call(seat.device, flags=_NO_FLUSH, event=_EVENT))
    saved = _SAVED + seat.thin_id
    return _Calls(
        to_error=(_load(seat.device, length, "error", ""), swap),
        messages=tuple(
            _message(pool_device, text)
            for text in (
                f"create_snap {saved} {seat.thin_id}",
                f"delete {seat.thin_id}",
                f"create_snap {seat.thin_id} {seat.baseline_id}",
            )
        ),
        back=(_load(seat.device, length, "thin", f"{pool.number} {seat.thin_id}"), swap),
        clean_up=(_message(pool_device, f"delete {saved}"),),
    )


def _load(device: str, length: int, kind: str, text: str) -> tuple[int, bytes]:
    padded = text.encode() + b"\0"
    padded += bytes(-len(padded) % 8)
    spec = _TARGET.pack(0, length, 0, _TARGET.size + len(padded), kind.encode())
    return _LOAD, _call(device, count=1, payload=spec + padded)


def _message(pool_device: str, text: str) -> tuple[int, bytes]:
    return _MESSAGE, _call(pool_device, payload=bytes(8) + text.encode() + b"\0")


def _call(
    device: str, *, flags: int = 0, event: int = 0, count: int = 0, payload: bytes = b""
) -> bytes:
    size = _HEADER.size + len(payload)
    header = _HEADER.pack(
        4, 0, 0, size, _HEADER.size, count, 0, flags, event, 0, 0, device.encode(), b""
    )
    return header + payload
