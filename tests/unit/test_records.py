"""A classroom's record that is missing, damaged, or of no classroom any more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pizarra.engine.events import Event, Noted
from pizarra.errors import NotOurs
from pizarra.model.classroom_record import REBUILT, ClassroomRecord
from pizarra.model.facts import RecordSeen
from pizarra.model.outcome import Outcome
from pizarra.service import classrooms, recover, verbs
from pizarra.service.context import Context
from pizarra.storage.lvm.records import record_tag, records_seen, tags_of_classroom
from tests.unit.test_reset import School


@pytest.fixture
def school() -> School:
    return School()


def record(school: School) -> ClassroomRecord | None:
    return school.storage.disks.records.get("net")


def test_record_when_missing_then_no_seat_is_touched_and_recover_writes_it_from_a_machine(
    school: School,
) -> None:
    was = record(school)
    assert was is not None
    school.storage.disks.records.clear()
    report = verbs.reset(school.context, "net")
    assert {one.outcome for one in report.seats} == {Outcome.UNKNOWN}
    assert "run pizarra recover" in str(report.seats[0].reason)
    events: list[Event] = []
    recover.recover(Context(school.context.host, events.append))
    again = record(school)
    assert again is not None
    assert again == replace(was, id=again.id, network="isolated")
    assert again.id.startswith(REBUILT), "the pages know that it is no new classroom"
    assert any("policy" in str(one) for one in events if isinstance(one, Noted))
    assert verbs.reset(school.context, "net").exit_status == 0


def test_record_when_missing_and_all_machines_too_then_stays_unknown(school: School) -> None:
    school.storage.disks.records.clear()
    for seat in school.context.host.observe().classroom("net").seats:
        school.compute.kill(seat.domain_uuid)
        school.compute.undefine(seat.domain_uuid)
    recover.recover(school.context)
    assert record(school) is None
    assert {one.outcome for one in verbs.reset(school.context, "net").seats} == {Outcome.UNKNOWN}


def test_record_when_it_cannot_be_read_then_recover_leaves_it_for_whoever_wrote_it(
    school: School,
) -> None:
    """It may be of a newer version of Pizarra."""
    school.storage.disks.records["net"] = None
    recover.recover(school.context)
    assert school.storage.disks.records == {"net": None}
    with pytest.raises(NotOurs, match="cannot be read"):
        classrooms.resize(school.context, "net", seats=9)


def test_record_when_its_classroom_is_gone_then_recover_removes_it(school: School) -> None:
    orphan = ClassroomRecord(classroom="gone")
    school.storage.write_record(orphan)
    recover.recover(school.context)
    assert set(school.storage.disks.records) == {"net"}


def test_classroom_when_deleted_then_its_record_goes_too(school: School) -> None:
    assert classrooms.delete(school.context, "net").exit_status == 0
    assert school.storage.disks.records == {}


def test_record_when_made_of_tags_then_damage_is_told_and_never_taken_for_an_answer() -> None:
    net = ClassroomRecord(classroom="net", template="t", version=1, network="bridge=br0")
    whole = record_tag(net)
    damaged = [
        whole.replace("version=1", "version=one"),
        whole.replace("format=2", "format=3"),
        whole + ":unheard=1",
        whole.replace("format=2:", ""),
    ]
    for tag in damaged:
        (seen,) = records_seen("vg0", [tag])
        assert (seen.classroom, seen.record) == ("net", None)
        assert seen.fault
        assert tags_of_classroom([tag, "other"], "net") == [tag]
    (twice,) = records_seen("vg0", [whole, whole.replace("version=1", "version=2")])
    assert (twice.record, bool(twice.fault)) == (None, True)
    assert list(records_seen("vg0", ["backup", "pizarra.other=1"])) == []
    (only,) = records_seen("vg0", ["x", whole])
    assert only == RecordSeen(kind=only.kind, place="vg0", classroom="net", record=net)
