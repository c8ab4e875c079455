"""Classrooms with identities and warm baselines from the start: by options, a file, a template."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pizarra.errors import ComputeFault, Unsupported
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.labels import IDENTITY
from pizarra.model.names import seat_uuid
from pizarra.model.outcome import Mode, Outcome
from pizarra.model.policy import After
from pizarra.model.sizes import MIB
from pizarra.planner.checkpoints import checkpoints
from pizarra.planner.warm import WARM
from pizarra.service import apply, classrooms, creation, identity, maintenance, verbs
from pizarra.storage.kinds import Kind
from tests.unit.test_identity import Guests

SPEC = ClassroomSpec(name="new", template="t", seats=2, memory_bytes=64 * MIB, storage=Kind.MEMORY)


@pytest.fixture
def guests(monkeypatch: pytest.MonkeyPatch) -> Guests:
    """Their agents answer, and nothing waits for long."""
    monkeypatch.setattr(identity, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr("pizarra.engine.power._LOOK_EVERY_S", 0.01)
    monkeypatch.setattr("pizarra.service.warm._LOOK_EVERY_S", 0.01)
    guests = Guests()
    guests.compute.program = lambda _uuid, script: int("command -v cloud-init" in script)
    return guests


def kept(guests: Guests, classroom: str) -> dict[str, list[int]]:
    """Who has a saved state of each name."""
    there = checkpoints(guests.context.host.observe().volumes.values(), classroom)
    return {one.name: sorted(one.volumes) for one in there}


def keeps_no_states(guests: Guests) -> None:
    able = replace(guests.storage.capabilities, checkpoints=False)
    guests.context.host.storages.capabilities = {Kind.MEMORY: able}


def test_create_when_all_is_wished_then_seats_have_identities_and_wake(guests: Guests) -> None:
    report = creation.create(guests.context, replace(SPEC, identify=True, warm=True))
    assert (report.verb, report.exit_status, len(report.seats)) == ("create", 0, 2)
    assert kept(guests, "new") == {IDENTITY: [1, 2], WARM: [1, 2]}
    report = verbs.reset(guests.context, "new", mode=Mode.WARM, after=After.RUNNING)
    assert [(one.outcome, one.reason) for one in report.seats] == [(Outcome.DONE, None)] * 2


def test_create_when_a_machine_cannot_be_warm_then_it_is_made_and_the_reason_is_told(
    guests: Guests,
) -> None:

    fault = ComputeFault("it has a device of the host")
    guests.compute.fail_at("save_ram", seat_uuid("new", 1), fault)
    report = creation.create(guests.context, replace(SPEC, warm=True))
    assert report.exit_status == 0
    assert "device of the host" in str(report.seats[0].reason)
    assert report.seats[1].reason is None


def test_create_when_storage_keeps_no_states_then_nothing_is_made(guests: Guests) -> None:
    keeps_no_states(guests)
    for wish in (replace(SPEC, identify=True), replace(SPEC, warm=True)):
        with pytest.raises(Unsupported):
            creation.create(guests.context, wish)
    assert "new" not in guests.context.host.observe().classrooms


def test_apply_when_storage_keeps_no_states_then_refused_before_anything_changes(
    guests: Guests, tmp_path: Path
) -> None:
    classrooms.create(guests.context, SPEC)
    keeps_no_states(guests)
    file = tmp_path / "new.yaml"
    file.write_text("classroom: new\ntemplate: t\nseats: 3\nmemory: 64M\nidentify: true")
    with pytest.raises(Unsupported):
        apply.plan(guests.context, apply.read_spec(file))


def test_publish_when_warm_then_classrooms_made_of_it_are(guests: Guests) -> None:
    maintenance.begin(guests.context, "t")
    assert maintenance.publish(guests.context, "t", warm=True).warm
    creation.create(guests.context, SPEC)
    assert kept(guests, "new") == {WARM: [1, 2]}
    maintenance.begin(guests.context, "t")
    assert not maintenance.publish(guests.context, "t").warm
    creation.create(guests.context, replace(SPEC, name="cold"))
    assert kept(guests, "cold") == {}


def test_publish_when_warm_and_storage_keeps_no_states_then_refused_and_it_goes_on(
    guests: Guests,
) -> None:
    made = maintenance.begin(guests.context, "t")
    keeps_no_states(guests)
    with pytest.raises(Unsupported, match="no original of its own"):
        maintenance.publish(guests.context, "t", warm=True)
    assert guests.context.host.observe().maintenance("t") == made


def test_apply_when_the_file_wishes_more_then_those_without_get_it_and_once(
    guests: Guests, tmp_path: Path
) -> None:
    classrooms.create(guests.context, SPEC)
    file = tmp_path / "new.yaml"
    lines = ("classroom: new", "template: t", "seats: 3", "memory: 64M", "storage: memory")
    file.write_text("\n".join((*lines, "identify: true", "warm: true")))
    wish = apply.read_spec(file)
    plan = apply.plan(guests.context, wish)
    assert plan.asks
    assert [str(line).partition(";")[0] for line in plan.lines] == [
        "~ seats: 2 -> 3",
        "~ identity: 2 of 2 have none",
        "~ warm: 2 of 2 have none",
    ]
    assert kept(guests, "new") == {}  # so far it was looked at only
    assert apply.carry_out(guests.context, plan).exit_status == 0
    assert kept(guests, "new") == {IDENTITY: [1, 2, 3], WARM: [1, 2, 3]}
    assert apply.plan(guests.context, wish).lines == ()
