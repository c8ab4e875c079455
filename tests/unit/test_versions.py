"""Versions of a template: made, published, thrown away, pruned; seats that go to another."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from pizarra.errors import BadInput, Busy, ComputeFault, NotFound, NotOurs, StorageFault
from pizarra.model.facts import Power
from pizarra.model.outcome import Mode, Outcome
from pizarra.model.policy import After
from pizarra.planner.maintenance import MaintenanceWish, machine, network_of
from pizarra.service import classrooms, maintenance, recover, templates, upgrade, verbs
from pizarra.storage.memory.store import Crash
from tests.contract.compute_bench import FOREIGN
from tests.fixtures.host_state import host_state
from tests.fixtures.two_disks import DISKS, TwoDisks

THEIRS = "c0ffee00-0000-4000-8000-000000000001"


@pytest.fixture
def host() -> TwoDisks:
    return TwoDisks()


@pytest.fixture
def second(host: TwoDisks) -> TwoDisks:
    """A classroom on v1, and a v2 of other content."""
    host.classroom()
    second_made(host)
    return host


def second_made(host: TwoDisks) -> None:
    maintenance.begin(host.context, "t")
    changed(host)
    maintenance.publish(host.context, "t")


def changed(host: TwoDisks) -> None:
    for disk in DISKS:
        host.storage.write(f"t.v2.{disk}", 0, f"{disk} v2".encode())


def stopped(host: TwoDisks) -> None:
    for domain in host.compute.observe():
        host.compute.kill(domain.uuid)


# made


def test_maintain_when_begun_then_a_machine_runs_on_copies_of_the_newest(host: TwoDisks) -> None:
    made = maintenance.begin(host.context, "t", MaintenanceWish(memory_bytes=2**30, vcpus=1))
    assert (made.name, made.version, made.power) == ("t-maintenance", 2, Power.RUNNING)
    assert [one.version for one in host.versions()] == [1]
    assert network_of("t") in host.compute.network_gateways()
    changed(host)
    assert [host.content(f"t.v1.{disk}") for disk in DISKS] == ["vda v1", "vdb v1"]


def test_maintain_when_somebody_does_already_then_is_busy(host: TwoDisks) -> None:
    maintenance.begin(host.context, "t")
    before = host_state(host.context.host)
    for verb in (maintenance.begin, templates.delete, templates.prune):
        with pytest.raises(Busy, match="t-maintenance"):
            verb(host.context, "t")
    assert host_state(host.context.host) == before


def test_classroom_when_made_during_maintenance_then_is_of_the_published_version(
    host: TwoDisks,
) -> None:
    maintenance.begin(host.context, "t")
    host.classroom()
    assert {seat.labels.version for seat in host.seats()} == {1}


def test_publish_when_made_then_is_the_newest_sealed_and_nothing_else_is_left(
    host: TwoDisks,
) -> None:
    before = host_state(host.context.host)
    second_made(host)
    assert [(one.version, one.fault) for one in host.versions()] == [(1, None), (2, None)]
    newest = host.context.host.observe().template("t")
    assert [volume.read_only for volume in newest.volumes] == [True, True]
    labels = newest.volumes[1].labels
    assert labels.to_dict() == {
        "format": "2",
        "role": "template",
        "disk": "vdb",
        "template": "t",
        "version": "2",
    }
    after = host_state(host.context.host)
    assert (after["machines"], after["networks"]) == (before["machines"], before["networks"])


def test_publish_when_the_guest_does_not_shut_down_then_is_busy_and_goes_on(
    host: TwoDisks,
) -> None:
    made = maintenance.begin(host.context, "t")
    host.compute.deaf.add(made.domain_uuid)
    with pytest.raises(Busy, match="has not shut down"):
        maintenance.publish(host.context, "t")
    assert host.context.host.observe().maintenance("t") == made
    host.compute.kill(made.domain_uuid)
    assert maintenance.publish(host.context, "t").version == 2


def test_publish_and_discard_when_nothing_is_being_made_then_is_said(host: TwoDisks) -> None:
    for verb in (maintenance.publish, maintenance.discard):
        with pytest.raises(NotFound, match="Nobody is making"):
            verb(host.context, "t")


def test_discard_when_done_then_all_is_as_before(host: TwoDisks) -> None:
    before = host_state(host.context.host)
    maintenance.begin(host.context, "t")
    changed(host)
    maintenance.discard(host.context, "t")
    assert host_state(host.context.host) == before
    assert maintenance.begin(host.context, "t").version == 2


@pytest.mark.parametrize("call", ["define_network", "define", "start"])
def test_maintain_when_a_step_fails_then_nothing_is_left(host: TwoDisks, call: str) -> None:
    before = host_state(host.context.host)
    host.compute.fail_at(call, None, ComputeFault("libvirt does not want to"))
    with pytest.raises(ComputeFault):
        maintenance.begin(host.context, "t")
    assert host_state(host.context.host) == before
    assert host.notes() == []


@pytest.mark.parametrize("step", [("create_draft", 1), ("set_labels", 2)])
def test_maintain_when_a_disk_fails_then_nothing_is_left(
    host: TwoDisks, step: tuple[str, int]
) -> None:
    before = host_state(host.context.host)
    host.storage.fail_at(*step, StorageFault("it does not want to"))
    with pytest.raises(StorageFault):
        maintenance.begin(host.context, "t")
    assert host_state(host.context.host) == before


def test_maintain_when_another_machine_has_its_name_then_that_one_is_left(host: TwoDisks) -> None:
    host.compute.put(FOREIGN.format(name="t-maintenance", uuid=THEIRS))
    before = host_state(host.context.host)
    with pytest.raises(NotOurs, match="t-maintenance"):
        maintenance.begin(host.context, "t")
    assert host_state(host.context.host) == before


def test_maintain_when_the_disk_is_to_shrink_then_is_refused(host: TwoDisks) -> None:
    before = host_state(host.context.host)
    with pytest.raises(BadInput, match="would cut off its end"):
        maintenance.begin(host.context, "t", MaintenanceWish(disk_bytes=4096))
    assert host_state(host.context.host) == before


# cut off


def cut_at_each_step(prepared: Callable[[TwoDisks], None], verb: Callable[[TwoDisks], None],
                     holds: Callable[[TwoDisks], None]) -> int:  # fmt: skip
    """Cut the power before each change that ``verb`` makes; recover; see what ``holds``."""
    for step in itertools.count(1):
        host = TwoDisks()
        prepared(host)
        host.storage.crash_at(step)
        try:
            verb(host)
        except Crash:
            host.power_on()
            stopped(host)
            recover.recover(host.context)
            once = host_state(host.context.host)
            recover.recover(host.context)
            assert host_state(host.context.host) == once, f"step {step}: recover twice is not once"
            holds(host)
        else:
            return step - 1
    raise AssertionError


def whole(host: TwoDisks) -> None:
    """Every version is whole, and a next one can be made from any state."""
    for version in host.versions():
        assert (version.fault, len(version.volumes)) == (None, 2)
        for volume in version.volumes:
            assert volume.read_only
    if host.context.host.observe().maintenance("t"):
        maintenance.discard(host.context, "t")
    number = max(one.version for one in host.versions())
    maintenance.begin(host.context, "t")
    assert maintenance.publish(host.context, "t").version == number + 1


def test_maintain_when_the_power_is_cut_anywhere_then_recover_leaves_all_whole() -> None:
    steps = cut_at_each_step(void, lambda host: void(maintenance.begin(host.context, "t")), whole)
    assert steps == 4  # two drafts, two labels


def test_publish_when_the_power_is_cut_anywhere_then_recover_leaves_all_whole() -> None:
    def begun(host: TwoDisks) -> None:
        maintenance.begin(host.context, "t")
        changed(host)

    def published(host: TwoDisks) -> None:
        whole(host)
        newest = host.versions()
        for version in newest:
            assert [host.content(f"t.v1.{disk}") for disk in DISKS] == ["vda v1", "vdb v1"], version

    steps = cut_at_each_step(
        begun, lambda host: void(maintenance.publish(host.context, "t")), published
    )
    assert steps == 4  # two a disk


def test_upgrade_when_the_power_is_cut_anywhere_then_a_reset_brings_one_version() -> None:
    def prepared(host: TwoDisks) -> None:
        host.classroom()
        second_made(host)

    def holds(host: TwoDisks) -> None:
        assert [seat.fault for seat in host.seats()] == [None, None]
        report = verbs.reset(host.context, "net")
        assert report.exit_status == 0, report
        for seat in host.seats():
            assert seat.labels.content_version == 0
            for disk in DISKS:
                assert host.content(f"{seat.name}.{disk}") == f"{disk} v{seat.labels.version}"

    upgraded = lambda host: void(upgrade.upgrade(host.context, "net"))  # noqa: E731
    assert cut_at_each_step(prepared, upgraded, holds) == 5  # four disks and the record


def test_reset_to_a_version_when_the_power_is_cut_anywhere_then_another_ends_it() -> None:
    def prepared(host: TwoDisks) -> None:
        host.classroom(seats=1)
        second_made(host)
        upgrade.upgrade(host.context, "net")

    def holds(host: TwoDisks) -> None:
        assert verbs.reset(host.context, "net").exit_status == 0
        assert [host.content(f"net-01.{disk}") for disk in DISKS] == ["vda v2", "vdb v2"]
        assert verbs.status(host.context, "net").extra["at_next_reset"] == 0

    reset = lambda host: void(verbs.reset(host.context, "net"))  # noqa: E731
    assert cut_at_each_step(prepared, reset, holds) == 6  # two a disk, then its label


def void(_: object) -> None:
    """A lambda's answer that nobody wants."""


# seats


def test_upgrade_when_done_then_seats_keep_what_they_have_until_their_reset(
    second: TwoDisks,
) -> None:
    second.storage.write("net-01.vda", 0, b"lesson")
    report = upgrade.upgrade(second.context, "net")
    assert report.exit_status == 0
    assert (report.extra["version"], report.extra["when"]) == (2, "next reset")
    assert second.content("net-01.vda") == "lesson"
    status = verbs.status(second.context, "net")
    assert (status.extra["version"], status.extra["at_next_reset"]) == (2, 2)
    assert [one.reason for one in status.seats] == ["v2 at its next reset"] * 2
    assert [one.extra["version"] for one in status.seats] == [1, 1]
    assert [one.verified for one in status.seats] == [False, False]
    assert {one.outcome for one in verbs.verify(second.context, "net").seats} == {Outcome.FAILED}
    assert verbs.reset(second.context, "net").exit_status == 0
    assert [second.content(f"net-01.{disk}") for disk in DISKS] == ["vda v2", "vdb v2"]
    status = verbs.status(second.context, "net")
    assert [(one.reason, one.extra["version"]) for one in status.seats] == [(None, 2)] * 2
    assert {one.outcome for one in verbs.reset(second.context, "net").seats} == {Outcome.UNCHANGED}


def test_upgrade_when_taken_back_before_a_reset_then_nothing_waits(second: TwoDisks) -> None:
    upgrade.upgrade(second.context, "net")
    report = upgrade.upgrade(second.context, "net", version=1)
    assert report.exit_status == 0
    assert verbs.status(second.context, "net").extra["at_next_reset"] == 0
    assert {one.outcome for one in verbs.verify(second.context, "net").seats} == {Outcome.DONE}


def test_upgrade_when_back_after_a_reset_then_the_old_version_is_there(second: TwoDisks) -> None:
    upgrade.upgrade(second.context, "net")
    verbs.reset(second.context, "net")
    upgrade.upgrade(second.context, "net", version=1)
    verbs.reset(second.context, "net")
    assert [second.content(f"net-02.{disk}") for disk in DISKS] == ["vda v1", "vdb v1"]


def test_upgrade_when_repeated_then_is_unchanged(second: TwoDisks) -> None:
    upgrade.upgrade(second.context, "net")
    report = upgrade.upgrade(second.context, "net")
    assert {one.outcome for one in report.seats} == {Outcome.UNCHANGED}


def test_upgrade_when_one_seat_is_named_then_only_that_one_goes(second: TwoDisks) -> None:
    assert upgrade.upgrade(second.context, "net", [2]).exit_status == 0
    assert [seat.labels.version for seat in second.seats()] == [1, 2]


def test_upgrade_when_the_version_is_not_there_then_nothing_changes(second: TwoDisks) -> None:
    before = host_state(second.context.host)
    with pytest.raises(NotFound, match="no version 7"):
        upgrade.upgrade(second.context, "net", version=7)
    with pytest.raises(BadInput, match="not a version"):
        upgrade.upgrade(second.context, "net", version=-1)
    assert host_state(second.context.host) == before


def test_reset_when_a_seat_runs_the_old_version_then_hot_is_refused(second: TwoDisks) -> None:
    verbs.start(second.context, "net", [1])
    upgrade.upgrade(second.context, "net")
    plan = verbs.reset_plan(second.context, "net", mode=Mode.HOT, after=After.AS_FOUND)
    assert plan.seats[0].outcome is Outcome.SKIPPED
    assert "another version" in str(plan.seats[0].reason)


def test_resize_when_the_classroom_is_on_an_older_version_then_new_seats_are_too(
    second: TwoDisks,
) -> None:
    assert classrooms.resize(second.context, "net", seats=3).exit_status == 0
    assert second.content("net-03.vda") == "vda v1"


def test_create_when_a_version_is_named_then_seats_are_of_it(host: TwoDisks) -> None:
    second_made(host)
    host.classroom(version=1)
    assert host.content("net-01.vdb") == "vdb v1"


# gone


def test_prune_when_nothing_stands_on_a_version_then_it_goes_and_the_newest_stays(
    second: TwoDisks,
) -> None:
    gone, stay = templates.prune(second.context, "t")
    assert gone == []
    assert {version: str(why) for version, why in stay.items()} == {
        1: "2 seats stand on it",
        2: "it is the newest",
    }
    upgrade.upgrade(second.context, "net")
    assert templates.prune(second.context, "t")[0] == []  # what they have is still of v1
    verbs.reset(second.context, "net")
    gone, stay = templates.prune(second.context, "t")
    assert [one.version for one in gone] == [1]
    assert set(stay) == {2}
    assert [second.content(f"net-01.{disk}") for disk in DISKS] == ["vda v2", "vdb v2"]


def test_delete_when_a_version_is_named_then_only_it_goes(second: TwoDisks) -> None:
    with pytest.raises(BadInput, match="version 1"):
        templates.delete(second.context, "t", version=1)
    templates.delete(second.context, "t", version=2)
    assert [one.version for one in second.versions()] == [1]


def test_delete_when_seats_stand_on_one_version_then_none_goes(second: TwoDisks) -> None:
    before = host_state(second.context.host)
    with pytest.raises(BadInput, match="stand on the template t"):
        templates.delete(second.context, "t")
    assert host_state(second.context.host) == before


def test_recover_when_the_machine_is_lost_then_it_is_defined_again(host: TwoDisks) -> None:
    made = maintenance.begin(host.context, "t")
    spec = machine(made)
    xml = host.compute.xml(made.domain_uuid)
    host.compute.kill(made.domain_uuid)
    host.compute.undefine(made.domain_uuid)
    recover.recover(host.context)
    assert host.compute.xml(spec.uuid) == xml
    assert maintenance.publish(host.context, "t").version == 2
