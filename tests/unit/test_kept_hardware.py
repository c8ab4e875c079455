"""What somebody added to a machine, against every verb that defines the machine again: it stays
with the policy ``changed_hardware: keep``, it goes with ``reset``, and the plan says which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from pizarra.engine.machines import put_right
from pizarra.errors import ComputeFault
from pizarra.model.facts import Power, Seat
from pizarra.model.names import seat_uuid
from pizarra.model.outcome import Outcome
from pizarra.model.policy import ChangedHardware, Policy
from pizarra.service import apply, data_disks, upgrade
from pizarra.service.identity_ends import take_back
from pizarra.service.look import look_at_seats
from pizarra.service.records import write_record
from tests.fixtures.two_disks import TwoDisks
from tests.unit.test_data_disks import Site
from tests.unit.test_drift import CONTENT, HARDWARE, UUID, Tampered, plug, swap
from tests.unit.test_identity import Guests
from tests.unit.test_policy import Declared
from tests.unit.test_reset import School
from tests.unit.test_versions import second_made

CD = HARDWARE["a CD"]
SOUND = plug('<sound model="ich9"/>')


def says_reset(school: School | TwoDisks | Site) -> None:
    net = school.context.host.observe().classroom("net")
    policy = Policy(changed_hardware=ChangedHardware.RESET)
    write_record(school.context, net, replace(net.record, policy=policy))


def differs(xml: str) -> bool:
    """Whether the machine still has what was added."""
    return any(part in xml for part in ("/a.iso", "52:54:00:0:0:9", "hostdev", "ich9", "<vcpu>4"))


every_hardware = pytest.mark.parametrize("way", HARDWARE)


@every_hardware
@pytest.mark.parametrize("line", ["weight: 50", "nested: true", "network: none", "minutes: 5"])
def test_apply_when_hardware_was_added_then_it_stays_and_the_plan_says_so(
    tmp_path: Path, way: str, line: str
) -> None:
    net = Declared(tmp_path)
    net.school.compute.change(UUID, HARDWARE[way])
    before = {one.what for one in seat_of(net.school).drift.defined}
    assert len(before) == 1
    net.file.write_text(declared(line))
    plan = apply.plan(net.context, apply.read_spec(net.file))
    assert [*plan.kept] == [f"net-02: {before.copy().pop()}"]
    assert plan.to_json()["kept"] == [*plan.kept]
    (_, two, *_) = apply.carry_out(net.context, plan).seats
    assert (two.outcome, two.reason) == (Outcome.DONE, f"kept: {before.copy().pop()}")
    assert before == {one.what for one in seat_of(net.school).drift.defined}
    assert ("weight" in line) == ("<shares>50" in net.school.compute.xml(UUID))


def declared(*lines: str) -> str:
    usual = ("classroom: net", "template: t", "seats: 5", "memory: 64M", "storage: memory")
    return "\n".join((*usual, *lines))


def seat_of(school: School) -> Seat:
    return look_at_seats(school.context, "net", [2], lambda _: None)[1][0]


@every_hardware
def test_apply_when_the_policy_is_reset_then_hardware_goes_and_the_plan_says_so(
    tmp_path: Path, way: str
) -> None:
    net = Declared(tmp_path)
    net.school.compute.change(UUID, HARDWARE[way])
    (what,) = (one.what for one in seat_of(net.school).drift.defined)
    net.file.write_text(declared("changed_hardware: reset"))
    plan = apply.plan(net.context, apply.read_spec(net.file))
    assert f"~ net-02: {what}: goes" in plan.lines
    assert apply.carry_out(net.context, plan).exit_status == 0
    assert not seat_of(net.school).drift
    assert apply.plan(net.context, apply.read_spec(net.file)).lines == ()
    net.school.compute.change(UUID, HARDWARE[way])
    again = apply.plan(net.context, apply.read_spec(net.file))
    assert again.lines == (f"~ net-02: {what}: goes",), "it is not as declared"
    assert apply.carry_out(net.context, again).exit_status == 0
    assert not seat_of(net.school).drift


def test_apply_when_memory_is_declared_then_it_comes_to_a_machine_with_a_cd(
    tmp_path: Path,
) -> None:
    net = Declared(tmp_path)
    net.school.compute.change(UUID, CD)
    net.school.compute.change(UUID, SOUND)
    net.file.write_text(declared("vcpus: 3").replace("64M", "96M"))
    plan = apply.plan(net.context, apply.read_spec(net.file))
    assert apply.carry_out(net.context, plan).exit_status == 0
    root = etree.fromstring(net.school.compute.xml(UUID))
    assert (root.findtext("memory"), root.findtext("vcpu")) == (str(96 << 10), "3")
    assert root.find("devices/sound[@model='ich9']") is not None
    assert "/a.iso" in net.school.compute.xml(UUID)
    assert apply.plan(net.context, apply.read_spec(net.file)).lines == ()


def test_apply_when_somebody_gave_memory_and_another_thing_is_declared_then_it_stays(
    tmp_path: Path,
) -> None:
    net = Declared(tmp_path)
    net.school.compute.change(UUID, swap(str(64 << 10), str(128 << 10)))
    net.file.write_text(declared("vcpus: 3"))
    apply.carry_out(net.context, apply.plan(net.context, apply.read_spec(net.file)))
    root = etree.fromstring(net.school.compute.xml(UUID))
    assert (root.findtext("memory"), root.findtext("vcpu")) == (str(128 << 10), "3")


def test_apply_when_one_machine_could_not_be_changed_then_a_repetition_changes_it(
    tmp_path: Path,
) -> None:
    net = Declared(tmp_path)
    net.school.compute.change(UUID, CD)
    net.school.compute.fail_at("redefine", UUID, ComputeFault("not now"))
    net.file.write_text(declared("vcpus: 3"))
    for broken in (True, False):
        plan = apply.plan(net.context, apply.read_spec(net.file))
        assert plan.lines == ("~ vcpus: 2 -> 3",)
        if broken:
            with pytest.raises(ComputeFault, match="not now"):
                apply.carry_out(net.context, plan)
        else:
            assert apply.carry_out(net.context, plan).exit_status == 0
    assert "<vcpu>3" in net.school.compute.xml(UUID)
    assert "/a.iso" in net.school.compute.xml(UUID)


@pytest.mark.parametrize("way", CONTENT)
def test_apply_when_content_was_changed_then_the_plan_says_that_it_is_left_alone(
    tmp_path: Path, way: str
) -> None:
    net = Declared(tmp_path)
    net.school.compute.change(UUID, CONTENT[way])
    before = net.school.compute.xml(UUID)
    net.file.write_text(declared("weight: 50"))
    plan = apply.plan(net.context, apply.read_spec(net.file))
    (said,) = plan.kept
    assert said.startswith("net-02 is left alone: ")
    report = apply.carry_out(net.context, plan)
    two = next(one for one in report.seats if one.seat == "net-02")
    assert (two.outcome, net.school.compute.xml(UUID)) == (Outcome.UNKNOWN, before)


@pytest.mark.parametrize("edit", [CD, SOUND])
@pytest.mark.parametrize("stays", [True, False])
def test_swap_data_when_hardware_was_added_then_it_stays(
    tmp_path: Path, edit: Callable[[str], str], stays: bool
) -> None:
    site = Site(tmp_path)
    if not stays:
        says_reset(site)
    if stays or edit is SOUND:  # another device is a fault of its seat with that policy
        site.compute.change(seat_uuid("net", 2), edit)
    site.written(1)
    assert data_disks.swap(site.context, "net", 1, 2).exit_status == 0
    assert site.has_work(2) == (False, True)
    assert differs(site.compute.xml(seat_uuid("net", 2))) is stays


@pytest.mark.parametrize("edit", [CD, SOUND])
@pytest.mark.parametrize("stays", [True, False])
def test_upgrade_when_hardware_was_added_then_it_stays(
    edit: Callable[[str], str], stays: bool
) -> None:
    host = TwoDisks()
    host.classroom()
    second_made(host)
    if not stays:
        says_reset(host)
    host.compute.change(seat_uuid("net", 2), edit)
    assert upgrade.upgrade(host.context, "net").exit_status == 0
    xml = host.compute.xml(seat_uuid("net", 2))
    assert 'version="2"' in xml
    assert differs(xml) is stays


def test_upgrade_when_a_machine_uses_another_disk_then_it_is_left_alone() -> None:
    host = TwoDisks()
    host.classroom()
    second_made(host)
    host.compute.change(seat_uuid("net", 2), swap("net-02.vda", "mine.img"))
    before = host.compute.xml(seat_uuid("net", 2))
    (one, two, *_) = upgrade.upgrade(host.context, "net").seats
    assert (one.outcome, two.outcome) == (Outcome.DONE, Outcome.UNKNOWN)
    assert "pizarra reset" in str(two.reason)
    assert host.compute.xml(seat_uuid("net", 2)) == before
    assert [seat.labels.version for seat in host.seats()][:2] == [2, 1]


@pytest.mark.parametrize("edit", [CD, SOUND])
def test_identify_when_hardware_was_added_then_it_stays(
    monkeypatch: pytest.MonkeyPatch, edit: Callable[[str], str]
) -> None:
    monkeypatch.setattr("pizarra.service.identity._LOOK_EVERY_S", 0.01)
    monkeypatch.setattr("pizarra.engine.power._LOOK_EVERY_S", 0.01)
    guests = Guests()
    guests.compute.change(seat_uuid("net", 1), edit)
    assert guests.identify([1]).exit_status == 0
    assert differs(guests.machine_xml(1))
    assert "vdz" not in guests.machine_xml(1)


def test_identify_when_it_is_taken_back_then_added_hardware_stays_and_the_seed_goes() -> None:
    guests = Guests()
    guests.compute.change(UUID, CD)
    seed = '<disk type="file"><source file="/seed.img"/><target dev="vdz"/></disk>'
    guests.compute.change(UUID, plug(seed))
    take_back(guests.context, guests.seat(2))
    assert "/a.iso" in guests.machine_xml(2)
    assert "vdz" not in guests.machine_xml(2)


@pytest.mark.parametrize("stays", [True, False])
def test_reset_when_hardware_that_nobody_compares_was_added_then_it_stays(stays: bool) -> None:
    room = Tampered("an overlay")
    room.compute.change(UUID, SOUND)
    if not stays:
        says_reset(room)
    (seat,) = look_at_seats(room.context, "net", [2], lambda _: None)[1]
    put_right(room.context.host, seat)
    assert differs(room.xml()) is stays
    assert room.fault() is None
    assert room.power(2) is Power.OFF
