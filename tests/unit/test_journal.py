"""The journal of operations: what lasts, whose owner is dead, and what a damaged file says."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pizarra.engine.journal import (
    Action,
    Journal,
    OpenRecord,
    PowerAfter,
    SeatEntry,
    VolumeEntry,
)
from pizarra.errors import Busy, StorageFault
from pizarra.model.undo_slot import UndoSlot
from pizarra.storage.kinds import Kind


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state" / "journal")


def entry(number: int) -> SeatEntry:
    volume = VolumeEntry(
        uuid=f"volume-{number}",
        kind=Kind.MEMORY,
        place="memory",
        name=f"net-{number:02d}.vda",
        source="golden",
        slot=UndoSlot.B,
        kept=UndoSlot.A,
    )
    return SeatEntry(
        seat=f"net-{number:02d}",
        classroom="net",
        number=number,
        domain=f"domain-{number}",
        volumes=(volume,),
        state="nvram",
        power=PowerAfter.START,
    )


def begun(journal: Journal, *numbers: int) -> OpenRecord:
    return journal.begin("reset", Action.REWIND, "ana", [entry(number) for number in numbers])


def test_record_when_begun_then_another_process_reads_all_of_it(journal: Journal) -> None:
    with begun(journal, 1, 2) as mine:
        mine.mark_done(["net-02"])
        ([there], unreadable) = journal.records()
        assert (there, unreadable) == (mine.record, [])
    assert there.seats == (entry(1), entry(2))
    assert (there.verb, there.action, there.who) == ("reset", Action.REWIND, "ana")
    assert [one.seat for one in there.left] == ["net-01"]


def test_record_when_closed_then_nothing_of_it_is_left(journal: Journal) -> None:
    with begun(journal, 1) as mine:
        mine.close()
    assert journal.records() == ([], [])
    assert not list(journal.folder.iterdir())


def test_record_when_seats_are_closed_one_by_one_then_the_last_deletes_it(
    journal: Journal,
) -> None:
    with begun(journal, 1, 2) as mine:
        mine.close_seats(["net-01", "net-09"])
        assert [one.seat for one in journal.records()[0][0].open] == ["net-02"]
        mine.close_seats(["net-02"])
    assert journal.records() == ([], [])


def test_entries_when_two_records_name_a_seat_then_the_younger_counts(journal: Journal) -> None:
    with begun(journal, 1, 2), begun(journal, 2) as younger:
        found = journal.entries()
    assert set(found) == {"net-01", "net-02"}
    assert found["net-02"][0].id == younger.record.id


def test_owner_when_it_lives_then_nobody_takes_its_record_over(journal: Journal) -> None:
    with begun(journal, 1) as mine:
        assert journal.is_owner_alive(mine.record)
        with pytest.raises(Busy, match="works by the record"):
            journal.take_over(mine.record)
    assert not journal.is_owner_alive(mine.record)
    with journal.take_over(mine.record) as ours:
        ours.mark_done(["net-01"])
        ours.close()
    with pytest.raises(StorageFault):
        journal.take_over(mine.record)


_OWNER = """
import sys, time
from pathlib import Path
from pizarra.engine.journal import Action, Journal
from tests.unit.test_journal import entry
journal = Journal(Path(sys.argv[1]))
record = journal.begin("reset", Action.REWIND, "ana", [entry(1), entry(2)])
record.mark_done(["net-01"])
print("ready", flush=True)
time.sleep(600)
"""


def test_owner_when_its_process_is_killed_then_the_kernel_says_so(journal: Journal) -> None:
    argv = [sys.executable, "-c", _OWNER, str(journal.folder)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        ([record], _) = journal.records()
        assert journal.is_owner_alive(record)
        owner.send_signal(signal.SIGKILL)
    assert not journal.is_owner_alive(record)
    with journal.take_over(record) as ours:
        assert [one.seat for one in ours.record.left] == ["net-02"]


@pytest.mark.parametrize("length", [0, 1, 40, 200])
def test_record_when_its_file_is_cut_short_then_it_is_reported_with_a_next_step(
    journal: Journal, length: int
) -> None:
    with begun(journal, 1) as mine:
        pass
    mine.path.write_bytes(mine.path.read_bytes()[:length])
    with begun(journal, 2) as good:
        records, (damaged,) = journal.records()
    assert [one.id for one in records] == [good.record.id]
    assert str(mine.path) in str(damaged.why)
    assert "rm " in damaged.why.advice


@pytest.mark.parametrize("text", ["\xff\xfe", "[]", "{}", '{"format": 1}', "null"])
def test_record_when_its_file_holds_nonsense_then_it_is_reported(
    journal: Journal, text: str
) -> None:
    with begun(journal, 1) as mine:
        pass
    mine.path.write_bytes(text.encode("latin-1"))
    assert journal.records()[0] == []
    assert len(journal.records()[1]) == 1
    assert journal.entries() == {}


def test_record_when_of_a_newer_version_then_that_is_said(journal: Journal) -> None:
    with begun(journal, 1) as mine:
        pass
    said = json.loads(mine.path.read_text(encoding="utf-8"))
    mine.path.write_text(json.dumps({**said, "format": 99}), encoding="utf-8")
    assert "newer" in str(journal.records()[1][0].why)


def test_done_when_its_line_was_cut_short_then_the_others_still_count(journal: Journal) -> None:
    with begun(journal, 1, 2, 3) as mine:
        mine.mark_done(["net-01"])
        with mine.path.open("ab") as file:
            file.write(b'\n{"done": ["net-0')
        mine.mark_done(["net-03"])
    ([there], _) = journal.records()
    assert [one.seat for one in there.left] == ["net-02"]


@contextmanager
def no_file_may_grow() -> Iterator[None]:
    """As on a disk that is full: what is written to a file beyond its first byte is refused."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_record_when_the_disk_is_full_then_no_operation_begins_and_nothing_is_left(
    journal: Journal,
) -> None:
    with no_file_may_grow(), pytest.raises(StorageFault, match="cannot be kept") as told:
        begun(journal, 1)
    assert told.value.advice
    assert not list(journal.folder.iterdir())


def test_done_when_the_disk_is_full_then_it_is_said_and_the_record_stays_whole(
    journal: Journal,
) -> None:
    with begun(journal, 1, 2) as mine:
        with no_file_may_grow(), pytest.raises(StorageFault):
            mine.mark_done(["net-01"])
        mine.mark_done(["net-02"])
    ([there], unreadable) = journal.records()
    assert not unreadable
    assert [one.seat for one in there.left] == ["net-01"]


def test_unfinished_when_its_writer_died_then_it_is_removed_and_no_record(
    journal: Journal,
) -> None:
    journal.folder.mkdir(parents=True)
    (journal.folder / "00000001-1-aa.new").write_text("{", encoding="utf-8")
    assert journal.records() == ([], [])
    journal.remove_unfinished()
    assert not list(journal.folder.iterdir())
