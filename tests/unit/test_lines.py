"""Calls that must end, on connections that may break."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pizarra.compute.connection_pool import ConnectionPool


class Phone:
    """A connection; each has its number."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self.number = type(self).made
        self.broken = False


@pytest.fixture
def lines() -> ConnectionPool[Phone]:
    Phone.made = 0
    return ConnectionPool(Phone, lambda phone: not phone.broken)


def number(phone: Phone) -> int:
    return phone.number


def test_call_when_made_one_after_another_then_the_connection_is_used_again(
    lines: ConnectionPool[Phone],
) -> None:
    assert [lines.call(number, 60) for _ in range(3)] == [1, 1, 1]


def test_call_when_it_raises_then_so_does_the_caller_and_the_connection_stays(
    lines: ConnectionPool[Phone],
) -> None:
    def work(_phone: Phone) -> None:
        raise KeyError("why")

    with pytest.raises(KeyError, match="why"):
        lines.call(work, 60)
    assert lines.call(number, 60) == 1


def test_call_when_the_connection_broke_then_the_next_one_has_a_new_one(
    lines: ConnectionPool[Phone],
) -> None:
    def work(phone: Phone) -> None:
        phone.broken = True
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        lines.call(work, 60)
    assert lines.call(number, 60) == 2


def test_call_when_it_hangs_then_left_behind_and_never_used_again(
    lines: ConnectionPool[Phone],
) -> None:
    release = threading.Event()
    ended = threading.Event()

    def hang(_phone: Phone) -> None:
        release.wait()
        ended.set()

    with pytest.raises(TimeoutError):
        lines.call(hang, 0.01)
    assert lines.call(number, 60) == 2
    release.set()
    assert ended.wait(60)
    assert lines.call(number, 60) == 2


def test_call_when_connecting_hangs_then_left_behind_too() -> None:
    release = threading.Event()
    lines: ConnectionPool[bool] = ConnectionPool(release.wait, bool)
    with pytest.raises(TimeoutError):
        lines.call(str, 0.01)
    release.set()
    assert lines.call(str, 60) == "True"


def test_call_when_many_at_once_then_none_waits_for_another(lines: ConnectionPool[Phone]) -> None:
    all_in = threading.Barrier(8)
    with ThreadPoolExecutor(8) as callers:
        waits = [callers.submit(lines.call, lambda _phone: all_in.wait(60), 60) for _ in range(8)]
        assert sorted(wait.result() for wait in waits) == list(range(8))
