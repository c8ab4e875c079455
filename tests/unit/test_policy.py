"""A classroom's policy: on its labels, in its file, and kept by every verb."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pizarra.errors import BadInput, Unsupported
from pizarra.model.classroom_record import policy_from_dict, policy_to_dict
from pizarra.model.facts import Power
from pizarra.model.outcome import Mode, Outcome
from pizarra.model.policy import (
    GROWTH_LEAST_BYTES,
    WEIGHT_LEAST,
    WEIGHT_MOST,
    After,
    AfterBoot,
    Policy,
    ResetBy,
)
from pizarra.service import apply, classrooms, verbs
from pizarra.service.undo import undo
from tests.unit.test_reset import School

POLICIES = st.builds(
    Policy,
    after_reset=st.sampled_from(After),
    modes=st.lists(st.sampled_from(Mode), min_size=1, unique=True).map(tuple),
    reset_by=st.sampled_from(ResetBy),
    undo_hours=st.none() | st.integers(0, 8760),
    minutes=st.integers(0, 1440),
    growth_bytes=st.none() | st.integers(GROWTH_LEAST_BYTES, 1 << 40),
    weight=st.integers(WEIGHT_LEAST, WEIGHT_MOST),
    nested=st.booleans(),
    after_boot=st.sampled_from(AfterBoot),
)


@given(POLICIES)
def test_policy_when_written_in_a_record_then_reads_the_same(policy: Policy) -> None:
    read = policy_from_dict(policy_to_dict(policy))
    assert set(read.modes) == set(policy.modes)
    assert replace(read, modes=policy.modes) == policy


class Declared:
    """A classroom that a file tells about."""

    def __init__(self, folder: Path) -> None:
        self.school = School()
        self.context = self.school.context
        self.file = folder / "net.yaml"

    def applied(self, *lines: str) -> tuple[str, ...]:
        usual = ("classroom: net", "template: t", "seats: 5", "memory: 64M", "storage: memory")
        self.file.write_text("\n".join((*usual, *lines)))
        plan = apply.plan(self.context, apply.read_spec(self.file))
        assert apply.carry_out(self.context, plan).exit_status == 0
        return plan.lines


@pytest.fixture
def net(tmp_path: Path) -> Declared:
    return Declared(tmp_path)


def test_apply_when_a_policy_changes_then_says_so_once_and_show_tells_it(net: Declared) -> None:
    lines = net.applied("after_reset: running", "modes: [cold]", "undo_hours: 48", "minutes: 50")
    assert lines == (
        "~ after_reset: as found -> running",
        f"~ modes: {', '.join(Mode)} -> cold",
        "~ undo_hours: - -> 48",
        "~ minutes: 0 -> 50",
    )
    again = apply.plan(net.context, apply.read_spec(net.file))
    assert again.lines == ()
    told = classrooms.show(net.context, "net")["policy"]
    assert told == {
        "after_reset": "running",
        "modes": ["cold"],
        "reset_by": "students",
        "undo_hours": 48,
        "minutes": 50,
        "changed_hardware": "keep",
        "growth_bytes": None,
        "weight": 100,
        "nested": False,
        "after_boot": "off",
    }


def test_reset_when_the_policy_says_what_follows_then_so_it_is(net: Declared) -> None:
    net.applied("after_reset: running")
    net.school.dirty(1)
    assert verbs.reset(net.context, "net", [1]).exit_status == 0
    assert net.school.power(1) is Power.RUNNING
    assert verbs.reset(net.context, "net", [1], after=After.OFF).exit_status == 0
    assert net.school.power(1) is Power.OFF


def test_apply_when_a_policy_is_the_word_off_then_it_is_no_boolean(net: Declared) -> None:
    net.applied("after_reset: off", "after_boot: off", "nested: no")
    told = classrooms.show(net.context, "net")["policy"]
    assert (told["after_reset"], told["after_boot"], told["nested"]) == ("off", "off", False)


def test_reset_when_a_mode_is_not_allowed_then_nothing_happens(net: Declared) -> None:
    net.applied("modes: [hot]")
    net.school.dirty(1)
    with pytest.raises(BadInput, match="does not allow"):
        verbs.reset(net.context, "net", mode=Mode.COLD)
    assert net.school.content(1) != b"original"
    assert verbs.reset(net.context, "net").mode == "hot"


def test_reset_when_left_to_teachers_then_a_student_is_refused(net: Declared) -> None:
    net.applied("reset_by: teachers")
    with pytest.raises(BadInput, match="teachers"):
        verbs.reset(replace(net.context, by=ResetBy.STUDENTS), "net", [1])
    for by in (ResetBy.TEACHERS, ResetBy.TECHNICIANS, None):
        assert verbs.reset(replace(net.context, by=by), "net", [1]).exit_status == 0


def test_undo_when_the_policy_keeps_nothing_then_cannot_be(net: Declared) -> None:
    net.applied("undo_hours: 0")
    net.school.dirty(1)
    verbs.reset(net.context, "net", [1])
    with pytest.raises(Unsupported):
        undo(net.context, "net", [1])


@pytest.mark.parametrize(
    "line",
    ["after_reset: sometimes", "modes: [lukewarm]", "modes: []", "modes: cold", "minutes: -1",
     "reset_by: everybody", "undo_hours: 99999", "undo_hours: 1.5", "minutes: soon",
     "weight: 0", "weight: 5000", "growth: 1K", "growth: much", "nested: perhaps",
     "after_boot: sometimes"],
)  # fmt: skip
def test_apply_when_a_policy_cannot_be_then_names_it(net: Declared, line: str) -> None:
    before = classrooms.show(net.context, "net")
    with pytest.raises(BadInput):
        net.applied(line)
    assert classrooms.show(net.context, "net") == before


def test_seats_when_somebody_damaged_the_record_then_are_left_alone_until_it_is_applied(
    net: Declared,
) -> None:
    net.school.storage.disks.records["net"] = None
    report = verbs.reset(net.context, "net")
    assert {one.outcome for one in report.seats} == {Outcome.UNKNOWN}
    assert "pizarra classroom apply" in str(report.seats[0].reason)
    net.applied("reset_by: teachers")
    assert verbs.reset(net.context, "net").exit_status == 0
