"""What is kept in a thin pool, over a pool in memory: cut off after any message of anything, and
again after any message of what puts that right, and no content is lost.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count

import pytest

from pizarra.errors import StorageFault
from pizarra.storage.dm_thin import undo as thin_undo
from pizarra.storage.dm_thin.ids import DISCARDED, RESCUE, UNDO_A, UNDO_B
from pizarra.storage.dm_thin.metadata import Thin
from pizarra.storage.dm_thin.pool import ThinPool

POOL = ThinPool("vg", "pool")
GOLDEN, SEAT = 1, 5


class Cut(Exception):
    """Nothing is done after it."""


class Pool:
    """As dm-thin answers messages."""

    def __init__(self) -> None:
        self.thins: dict[int, Thin] = {}
        self.clock, self.roots = count(1), count(100)
        self.left = 10_000  # messages until it is cut off
        self.born(GOLDEN)
        self.told(f"create_snap {SEAT} {GOLDEN}")

    def born(self, thin_id: int) -> None:
        self.thins[thin_id] = Thin(next(self.roots), next(self.clock))

    def written(self, thin_id: int = SEAT) -> int:
        """By a student: another root, made when it was."""
        self.thins[thin_id] = Thin(next(self.roots), self.thins[thin_id].made)
        return self.thins[thin_id].root

    def told(self, text: str) -> None:
        word, *ids = text.split()
        numbers = [int(one) for one in ids]
        if word == "create_snap":
            to, source = numbers
            if to in self.thins:
                raise refusal(errno.EEXIST)
            if source not in self.thins:
                raise refusal(errno.ENODATA)
            self.thins[to] = Thin(self.thins[source].root, next(self.clock))
        elif self.thins.pop(numbers[0], None) is None:
            raise refusal(errno.ENODATA)

    def message(self, device: str, text: str) -> None:
        assert device == POOL.device
        if self.left == 0:
            raise Cut
        self.left -= 1
        self.told(text)

    @contextmanager
    def cut_after(self, messages: int) -> Iterator[None]:
        self.left = messages
        try:
            yield
        finally:
            self.left = 10_000

    def kept(self) -> int | None:
        """The root of what is kept, which is one content."""
        there = [base + SEAT for base in (UNDO_A, UNDO_B) if base + SEAT in self.thins]
        assert len(there) < 2
        return self.thins[there[0]].root if there else None

    def settle(self) -> None:
        thin_undo.send(POOL, thin_undo.messages_after_crash(dict(self.thins), frozenset({SEAT})))


def refusal(number: int) -> StorageFault:
    return StorageFault("no", errno=number)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    made = Pool()
    monkeypatch.setattr("pizarra.system.devmapper.message", made.message)
    return made


def reset(pool: Pool) -> None:
    pool.settle()
    thin_undo.save_undo(POOL, SEAT, dict(pool.thins))
    thin_undo.replace(POOL, SEAT, GOLDEN)


def reset_for_good(pool: Pool) -> None:
    pool.settle()
    thin_undo.set_aside(POOL, SEAT, dict(pool.thins))
    thin_undo.replace(POOL, SEAT, GOLDEN)


def undo(pool: Pool) -> None:
    pool.settle()
    thin_undo.swap_with_undo(POOL, SEAT, dict(pool.thins))


Act = Callable[[Pool], None]


def weeks(pool: Pool, *, older: bool) -> tuple[int | None, int]:
    """What is kept of the week before, and what the seat has now."""
    before = None
    if older:
        before = pool.written()
        reset(pool)
        pool.settle()
        assert pool.kept() == before
    return before, pool.written()


def cut_off(pool: Pool, act: Act, after: int) -> bool:
    """Whether there was so much to do."""
    try:
        with pool.cut_after(after):
            act(pool)
    except Cut:
        return True
    return False


def put_right(pool: Pool, cut_again_after: int) -> None:
    cut_off(pool, Pool.settle, cut_again_after)
    pool.settle()
    assert not thin_undo.messages_after_crash(dict(pool.thins), frozenset({SEAT})), "twice is once"
    assert not {DISCARDED + SEAT, RESCUE + SEAT} & pool.thins.keys()


@pytest.mark.parametrize("older", [True, False])
@pytest.mark.parametrize("again", range(6))
@pytest.mark.parametrize("after", range(8))
def test_reset_when_cut_off_then_nothing_was_done_or_the_work_is_kept(
    pool: Pool, after: int, again: int, older: bool
) -> None:
    before, now = weeks(pool, older=older)
    was_cut = cut_off(pool, reset, after)
    put_right(pool, again)
    seat, golden = pool.thins[SEAT].root, pool.thins[GOLDEN].root
    assert (seat, pool.kept()) in {(now, before), (golden, now)}
    assert was_cut or seat == golden


@pytest.mark.parametrize("again", range(6))
@pytest.mark.parametrize("after", range(3))
def test_reset_when_cut_off_twice_and_done_again_then_the_work_is_kept(
    pool: Pool, after: int, again: int
) -> None:
    _, now = weeks(pool, older=True)
    assert cut_off(pool, reset, after)
    cut_off(pool, Pool.settle, again)
    reset(pool)
    pool.settle()
    assert (pool.thins[SEAT].root, pool.kept()) == (pool.thins[GOLDEN].root, now)


@pytest.mark.parametrize("act", [reset, reset_for_good, undo])
@pytest.mark.parametrize("after", range(8))
def test_seat_when_written_to_after_a_cut_and_before_all_is_put_right_then_nothing_is_lost(
    pool: Pool, after: int, act: Act
) -> None:
    before, now = weeks(pool, older=True)
    cut_off(pool, act, after)
    if SEAT not in pool.thins:
        return  # nobody can write to it
    had = pool.thins[SEAT].root
    more = pool.written()
    put_right(pool, 10)
    assert pool.thins[SEAT].root == more
    assert pool.kept() == {now: before, before: now}.get(had, before if act is not reset else now)


@pytest.mark.parametrize("again", range(6))
@pytest.mark.parametrize("after", range(8))
def test_reset_when_nothing_is_kept_of_it_then_the_older_undo_stays(
    pool: Pool, after: int, again: int
) -> None:
    before, now = weeks(pool, older=True)
    cut_off(pool, reset_for_good, after)
    put_right(pool, again)
    assert pool.kept() == before
    assert pool.thins[SEAT].root in {now, pool.thins[GOLDEN].root}


@pytest.mark.parametrize("again", range(6))
@pytest.mark.parametrize("after", range(8))
def test_undo_when_cut_off_then_both_contents_are_there(pool: Pool, after: int, again: int) -> None:
    before, now = weeks(pool, older=True)
    was_cut = cut_off(pool, undo, after)
    put_right(pool, again)
    assert (pool.thins[SEAT].root, pool.kept()) in {(now, before), (before, now)}
    assert was_cut or pool.kept() == now


def test_reset_when_the_seat_was_original_then_that_is_kept_as_of_the_other_disks(
    pool: Pool,
) -> None:
    weeks(pool, older=True)
    reset(pool)
    pool.settle()
    reset(pool)
    pool.settle()
    assert pool.kept() == pool.thins[GOLDEN].root


def test_reset_when_the_original_goes_and_then_is_kept_then_it_is_that_which_is_kept(
    pool: Pool,
) -> None:
    weeks(pool, older=True)
    reset_for_good(pool)
    reset_for_good(pool)
    reset(pool)
    pool.settle()
    assert pool.kept() == pool.thins[GOLDEN].root


@pytest.mark.parametrize("after", range(8))
def test_reset_when_the_original_goes_and_is_kept_too_then_a_cut_leaves_that(
    pool: Pool, after: int
) -> None:
    reset(pool)
    cut_off(pool, reset_for_good, after)
    put_right(pool, 10)
    assert pool.kept() == pool.thins[SEAT].root == pool.thins[GOLDEN].root


def test_reset_when_two_were_not_given_back_then_the_last_is_kept(pool: Pool) -> None:
    for _ in range(5):
        now = pool.written()
        reset(pool)
    pool.settle()
    assert pool.kept() == now


def test_seat_when_gone_then_nothing_of_it_stays(pool: Pool) -> None:
    weeks(pool, older=True)
    cut_off(pool, reset, 1)
    cut_off(pool, reset_for_good, 1)
    del pool.thins[SEAT]
    wanted = partial(thin_undo.messages_after_crash, dict(pool.thins))
    thin_undo.send(POOL, wanted(frozenset()))
    assert set(pool.thins) == {GOLDEN}
