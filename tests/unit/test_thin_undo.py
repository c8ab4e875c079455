"""What is kept in a thin pool, over a pool in memory: cut off after any message of anything, and
again after any message of what puts that right, and no content is lost.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from pizarra.errors import StorageFault
from pizarra.model.disk_source import BlockDevice
from pizarra.model.facts import Volume
from pizarra.model.labels import Labels, SeatLabels, TemplateLabels
from pizarra.model.undo_slot import UndoSlot
from pizarra.storage.dm_thin import undo as thin_undo
from pizarra.storage.dm_thin.ids import DISCARDED, PROBE, RESCUE, UNDO_A, UNDO_B
from pizarra.storage.dm_thin.metadata import Thin
from pizarra.storage.dm_thin.pool import ThinPool
from pizarra.storage.dm_thin.undo import PoolMessages, holders, messages_after_crash
from pizarra.storage.kinds import Kind

POOL = ThinPool("vg", "pool")
GOLDEN, SEAT = 1, 5
A, B = UndoSlot


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

    def slots(self) -> dict[UndoSlot, int]:
        """The root of what each slot holds."""
        ids = {slot: thin_undo.slot_id(SEAT, slot) for slot in UndoSlot}
        return {slot: self.thins[one].root for slot, one in ids.items() if one in self.thins}

    @property
    def root(self) -> int | None:
        """Of what the seat has."""
        return self.thins[SEAT].root if SEAT in self.thins else None

    def reclaim(self, keep: UndoSlot | None) -> None:
        thin_undo.send(POOL, thin_undo.messages_to_reclaim({SEAT: keep}, dict(self.thins)))

    def repair(self) -> None:
        thin_undo.send(POOL, thin_undo.messages_after_crash(dict(self.thins), frozenset({SEAT})))


def refusal(number: int) -> StorageFault:
    return StorageFault("no", errno=number)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    made = Pool()
    monkeypatch.setattr("pizarra.system.devmapper.message", made.message)
    return made


def reset(pool: Pool) -> None:
    """What an earlier reset kept is in slot A."""
    thin_undo.rewind(POOL, SEAT, GOLDEN, B)
    pool.reclaim(B)


def reset_for_good(pool: Pool) -> None:
    """What is kept stays."""
    thin_undo.rewind(POOL, SEAT, GOLDEN, None)
    pool.reclaim(None)


def undo(pool: Pool) -> None:
    thin_undo.swap(POOL, SEAT, A, B, dict(pool.thins))
    pool.reclaim(B)


Act = Callable[[Pool], None]
ACTS = [reset, reset_for_good, undo]


def weeks(pool: Pool) -> tuple[int, int]:
    """The roots of a week's work that was reset, kept in slot A, and of the next week's."""
    before = pool.written()
    thin_undo.rewind(POOL, SEAT, GOLDEN, A)
    pool.reclaim(A)
    assert pool.slots() == {A: before}
    return before, pool.written()


def then(pool: Pool, act: Act, before: int, now: int) -> tuple[int, dict[UndoSlot, int]]:
    """What the seat and the slots have after an act."""
    golden = pool.thins[GOLDEN].root
    if act is undo:
        return before, {B: now}
    return golden, {B: now} if act is reset else {A: before}


def cut_off(pool: Pool, act: Act, after: int) -> bool:
    """Whether there was so much to do."""
    try:
        with pool.cut_after(after):
            act(pool)
    except Cut:
        return True
    return False


@pytest.mark.parametrize("act", ACTS)
def test_act_when_cut_off_as_often_as_it_can_be_then_once_more_ends_it(
    pool: Pool, act: Act
) -> None:
    """Cut off after so many messages, and again after so many of the second attempt."""
    for after in range(10):
        for again in range(10):
            pool.thins.clear()
            pool.born(GOLDEN)
            pool.told(f"create_snap {SEAT} {GOLDEN}")
            before, now = weeks(pool)
            cut_off(pool, act, after)
            cut_off(pool, act, again)
            act(pool)
            assert (pool.root, pool.slots()) == then(pool, act, before, now), (after, again)
            assert not {DISCARDED + SEAT, RESCUE + SEAT} & pool.thins.keys()


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("after", range(8))
def test_pool_when_repaired_before_the_act_is_done_again_then_that_ends_the_same(
    pool: Pool, act: Act, after: int
) -> None:
    """Recover repairs a pool first, which may be stuck, and completes the records after that."""
    before, now = weeks(pool)
    cut_off(pool, act, after)
    pool.repair()
    act(pool)
    assert (pool.root, pool.slots()) == then(pool, act, before, now)


@pytest.mark.parametrize("act", [reset, undo])
@pytest.mark.parametrize("after", range(8))
def test_pool_when_there_is_no_record_then_repair_loses_no_content(
    pool: Pool, act: Act, after: int
) -> None:
    before, now = weeks(pool)
    cut_off(pool, act, after)
    pool.repair()
    found = (pool.root, set(pool.slots().values()))
    root, slots = then(pool, act, before, now)
    assert found in [(now, {before}), (root, set(slots.values()))]
    assert not thin_undo.messages_after_crash(dict(pool.thins), frozenset({SEAT})), "twice is once"


@pytest.mark.parametrize("after", range(8))
def test_reset_when_it_boots_in_between_and_is_done_again_then_the_work_is_kept(
    pool: Pool, after: int
) -> None:
    """The slot is filled already, so what was written since does not go there."""
    _, now = weeks(pool)
    cut_off(pool, reset, after)
    if pool.root not in (None, now):
        pool.written()
    reset(pool)
    assert pool.slots() == {B: now}


def test_reset_when_the_seat_was_original_then_that_is_kept_as_of_the_other_disks(
    pool: Pool,
) -> None:
    thin_undo.rewind(POOL, SEAT, GOLDEN, A)
    pool.reclaim(A)
    assert pool.slots() == {A: pool.thins[GOLDEN].root}


def test_reclaim_when_a_seat_has_no_content_then_nothing_of_it_goes(pool: Pool) -> None:
    before, now = weeks(pool)
    cut_off(pool, reset, 2)
    assert pool.root is None
    pool.reclaim(A)
    assert pool.slots() == {A: before, B: now}


def test_seat_when_gone_then_nothing_of_it_stays(pool: Pool) -> None:
    weeks(pool)
    cut_off(pool, reset, 1)
    cut_off(pool, reset_for_good, 1)
    del pool.thins[SEAT]
    thin_undo.send(POOL, thin_undo.messages_after_crash(dict(pool.thins), frozenset()))
    assert set(pool.thins) == {GOLDEN}


def thins(*made: tuple[int, int]) -> dict[int, Thin]:
    """Thin id and root of each, in the order in which they were made."""
    return {thin_id: Thin(root, when) for when, (thin_id, root) in enumerate(made)}


def test_settlement_when_a_label_was_taken_away_then_what_is_kept_waits() -> None:
    there = thins((5, 20), (UNDO_A + 5, 30), (UNDO_B + 5, 10), (UNDO_A + 6, 30))
    todo = [PoolMessages(6, (f"delete {UNDO_A + 6}",))]
    assert messages_after_crash(there, frozenset(), frozenset({5})) == todo


def test_settlement_when_a_trial_of_a_baseline_was_cut_off_then_it_goes() -> None:
    there = thins((1, 20), (5, 20), (PROBE, 20))
    assert messages_after_crash(there, frozenset({5}), frozenset()) == [
        PoolMessages(0, (f"delete {PROBE}",))
    ]


def test_holders_when_asked_then_seats_and_the_unlabelled_but_no_golden_volume() -> None:
    def thin(thin_id: int, labels: Labels | None) -> Volume:
        return Volume(
            kind=Kind.LVM_THIN,
            place="vg",
            name=f"v{thin_id}",
            uuid=str(thin_id),
            source=BlockDevice(Path(f"/dev/vg/v{thin_id}")),
            size_bytes=1,
            labels=labels,
            thin_id=thin_id,
        )

    golden, seat = TemplateLabels(template="t", version=1), SeatLabels(classroom="c", seat=2)
    volumes = [thin(0, None), thin(1, golden), thin(2, seat), thin(3, None)]
    assert holders(volumes) == (frozenset({2}), frozenset({3}))
