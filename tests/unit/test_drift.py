"""Ways to change a machine behind our back, against every verb: none calls it original, and none
acts on a content that it does not use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count

import pytest
from lxml import etree

from pizarra.compute.domain_edit import disks_of
from pizarra.errors import ComputeFault, Unsupported
from pizarra.model.definition import Grade
from pizarra.model.facts import Power
from pizarra.model.labels import CheckpointLabels
from pizarra.model.names import seat_uuid
from pizarra.model.outcome import Mode, Outcome, Report
from pizarra.model.policy import After, ChangedHardware, Policy
from pizarra.planner.drift import any_fault, content_fault
from pizarra.service import checkpoints, classrooms, inspect, verbs
from pizarra.service.look import look_at_seats
from pizarra.service.records import write_record
from pizarra.service.recover import recover
from pizarra.service.undo import undo
from pizarra.service.warm import warm
from tests.fixtures.kills import dies_before, dies_before_text
from tests.unit.test_reset import School

SEAT = "net-02"
UUID = seat_uuid("net", 2)
QEMU = 'xmlns:q="http://libvirt.org/schemas/domain/qemu/1.0"'
CDROM = (
    '<disk type="file" device="cdrom"><source file="/a.iso"/>'
    '<target dev="sda" bus="sata"/>{boot}</disk>'
)
NIC = '<interface type="bridge"><mac address="52:54:00:0:0:9"/><source bridge="b"/>{}</interface>'
Edit = Callable[[str], str]


def swap(old: str, new: str) -> Edit:
    def edit(xml: str) -> str:
        assert old in xml, (old, xml)
        return xml.replace(old, new, 1)

    return edit


def plug(device: str) -> Edit:
    return swap("</devices>", f"{device}</devices>")


def overlay(xml: str) -> str:
    """As ``virsh snapshot-create-as net-02 s --disk-only`` leaves it."""
    return swap(".vda", ".vda.s")(xml)


CONTENT: dict[str, Edit] = {
    "an overlay": overlay,
    "another seat's disk": swap("net-02.vda", "net-03.vda"),
    "a disk of somebody else": swap("net-02.vda", "mine.img"),
    "no disk": swap('dev="vda"', 'dev="vdb"'),
    "an extra disk": plug('<disk type="file"><source file="/x"/><target dev="vdb"/></disk>'),
    "an extra disk of a network": plug(
        '<disk type="network"><source protocol="nbd" name="x"/><target dev="vdb"/></disk>'
    ),
    "another format": swap('type="raw"', 'type="qcow2"'),
    "a throw-away disk": swap('<target dev="vda"', '<transient/><target dev="vda"'),
    "its disk as a CD": swap('device="disk"', 'device="cdrom"'),
    "a network boot first": swap('<boot dev="hd"/>', '<boot dev="network"/><boot dev="hd"/>'),
    "a CD boot": swap('<boot dev="hd"/>', '<boot dev="cdrom"/>'),
    "a CD that boots by its order": plug(CDROM.format(boot='<boot order="1"/>')),
    "a card that boots by its order": plug(NIC.format('<boot order="1"/>')),
    "a kernel": swap('<boot dev="hd"/>', '<kernel>/k</kernel><boot dev="hd"/>'),
    "another firmware": swap("<os>", '<os firmware="efi">'),
    "a TPM": plug('<tpm model="tpm-crb"><backend type="emulator" version="2.0"/></tpm>'),
    "a shared folder": plug('<filesystem type="mount"><source dir="/"/></filesystem>'),
    "shared memory": plug('<shmem name="x"/>'),
    "arguments for QEMU": swap(
        "</domain>", f'<q:commandline {QEMU}><q:arg value="-snapshot"/></q:commandline></domain>'
    ),
}
HARDWARE: dict[str, Edit] = {
    "a CD": plug(CDROM.format(boot="")),
    "a card": plug(NIC.format("")),
    "a device of the host": plug('<hostdev mode="subsystem" type="usb"/>'),
    "more memory": swap('<memory unit="KiB">', '<memory unit="MiB">'),
    "more processors": swap("<vcpu>2", "<vcpu>4"),
    "another bus": swap('bus="virtio"', 'bus="sata"'),
}
# of a disk that was taken out, nothing is left that could stay
GONE = {("no disk", "another bus"), ("its disk as a CD", "another bus")}
LIVE: dict[str, Edit] = {
    "a live overlay": overlay,
    "a disk unplugged live": swap('dev="vda"', 'dev="vdx"'),
    "a disk plugged in live": CONTENT["an extra disk"],
}
WAYS = [*CONTENT, *LIVE, "saved RAM", "a snapshot"]


class Tampered(School):
    """Seat 2 was used, reset (so that it has an undo), checkpointed, and then changed."""

    def __init__(self, way: str) -> None:
        super().__init__()
        warm(self.context, "net", [2], settle_s=0.01)
        self.dirty(2)
        self.reset([2])
        checkpoints.save(self.context, "net", "before", [1, 2])
        if way in LIVE:
            verbs.start(self.context, "net", [2])
            self.compute.change(UUID, LIVE[way], live=True)
        elif way in ("saved RAM", "a snapshot"):
            self.compute.happen_to(UUID, ram=way == "saved RAM", snapshot=way == "a snapshot")
        else:
            self.compute.change(UUID, {**CONTENT, **HARDWARE}[way])

    def fault(self) -> str | None:
        return look_at_seats(self.context, "net", [2], any_fault)[1][0].fault

    def xml(self) -> str:
        return self.compute.xml(UUID)

    def acts(self) -> set[str]:
        """What was done to its machine since the calls were cleared."""
        looks = {"xml", "live_xml"}
        return {call for call, which in self.compute.calls if which == UUID} - looks


def told(report: Report) -> tuple[Outcome, bool | None]:
    (one,) = report.seats
    assert one.reason, "it is said why"
    return one.outcome, one.verified


@pytest.fixture
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def room(way: str) -> Tampered:
    made = Tampered(way)
    made.compute.calls.clear()
    return made


every_way = pytest.mark.parametrize("way", WAYS, indirect=True)
every_content = pytest.mark.parametrize("way", [*CONTENT, *LIVE], indirect=True)
every_hardware = pytest.mark.parametrize("way", HARDWARE, indirect=True)


@every_way
def test_status_when_a_machine_was_changed_then_it_is_not_original(room: Tampered) -> None:
    assert told(verbs.status(room.context, "net", [2])) == (Outcome.UNKNOWN, False)
    shown = {one.seat: one for one in verbs.status(room.context, "net").seats}
    assert shown["net-01"].verified is True, "its neighbour is"


@every_way
@pytest.mark.parametrize("deep", [False, True])
def test_verify_when_a_machine_was_changed_then_it_is_not_original(
    room: Tampered, deep: bool
) -> None:
    report = verbs.verify(room.context, "net", [2], deep=deep)
    assert told(report) == (Outcome.UNKNOWN, False)
    assert report.exit_status == 1


@every_way
@pytest.mark.parametrize("mode", [Mode.COLD, Mode.WARM])
def test_reset_when_a_machine_was_changed_then_it_is_right_or_left_alone(
    room: Tampered, way: str, mode: Mode
) -> None:
    room.dirty(2)
    report = verbs.reset(room.context, "net", [2], mode=mode, after=After.RUNNING)
    if way == "a snapshot":
        assert told(report) == (Outcome.UNKNOWN, False)
        assert (room.acts(), room.content(2)) == (set(), b"a studen")
        return
    (one,) = report.seats
    assert (one.outcome, one.verified) == (Outcome.DONE, True)
    assert (room.content(2), room.fault()) == (b"original", None)
    assert verbs.verify(room.context, "net", [2]).exit_status == 0
    if way in CONTENT:
        assert "put right" in str(one.reason)


@pytest.mark.parametrize("way", [*CONTENT, *LIVE, "a snapshot"], indirect=True)
def test_reset_when_it_is_hot_and_a_machine_was_changed_then_it_is_not_done(
    room: Tampered, way: str
) -> None:
    if way not in LIVE:
        verbs.start(room.context, "net", [2])
        room.compute.happen(UUID, Power.RUNNING)
    room.dirty(2)
    room.compute.calls.clear()
    try:
        assert told(room.reset([2], Mode.HOT)) == (Outcome.UNKNOWN, False)
    except Unsupported as error:
        assert "--mode cold" in str(error)
    assert (room.acts(), room.content(2)) == (set(), b"a studen")


@every_content
def test_start_when_it_would_use_another_content_then_it_is_refused(
    room: Tampered, way: str
) -> None:
    if way in LIVE:
        verbs.stop(room.context, "net", [2], grace_s=0)
        assert verbs.start(room.context, "net", [2]).exit_status == 0, "its definition is right"
        assert room.fault() is None
        return
    assert told(verbs.start(room.context, "net", [2]))[0] is Outcome.UNKNOWN
    assert room.power(2) is Power.OFF


@pytest.mark.parametrize("way", ["saved RAM"], indirect=True)
def test_start_when_ram_is_saved_then_the_machine_goes_on_with_it(room: Tampered) -> None:
    assert verbs.start(room.context, "net", [2]).exit_status == 0
    assert room.acts() == {"wake"}
    assert verbs.status(room.context, "net", [2]).seats[0].outcome is Outcome.DONE


@pytest.mark.parametrize("way", ["saved RAM"], indirect=True)
def test_reset_when_ram_is_saved_then_it_goes_before_the_disk(room: Tampered) -> None:
    room.dirty(2)
    room.reset([2])
    called = [call for call, which in room.compute.calls if which == UUID]
    assert "drop_saved_ram" in called
    assert (room.content(2), room.power(2)) == (b"original", Power.OFF)


@pytest.mark.parametrize("way", ["saved RAM"], indirect=True)
def test_undo_when_a_reset_dropped_ram_then_it_is_saved_again(room: Tampered) -> None:
    room.dirty(2)
    for _ in range(2):
        room.reset([2])
        assert room.content(2) == b"original"
        assert undo(room.context, "net", [2]).exit_status == 0
        assert (room.content(2), room.power(2)) == (b"a studen", Power.OFF)
        assert verbs.status(room.context, "net", [2]).seats[0].outcome is Outcome.UNKNOWN
    room.compute.calls.clear()
    assert verbs.start(room.context, "net", [2]).exit_status == 0
    assert room.acts() == {"wake"}


@pytest.mark.parametrize("way", ["saved RAM"], indirect=True)
def test_reset_when_there_is_another_then_ram_of_the_one_before_is_forgotten(
    room: Tampered,
) -> None:
    folder = room.context.host.states.folder
    for _ in range(2):
        room.dirty(2)
        room.reset([2])
        assert undo(room.context, "net", [2]).exit_status == 0
        room.reset([2])
        assert len([*folder.glob("*.undo-*.ram")]) == 1
        room.dirty(2)
        room.reset([2])
        assert not [*folder.glob("*.undo-*.ram")]
        room.compute.happen_to(UUID, ram=True)


def killed_with_ram(act: Callable[[Tampered], object]) -> Iterator[Tampered]:
    """One room a step: it has saved RAM, and ``act`` is killed before that step."""
    for step in count(1):
        room = Tampered("saved RAM")
        room.dirty(2)
        if not dies_before(step, partial(act, room)):
            return
        yield room


def check_has_work_and_ram(room: Tampered) -> None:
    assert room.content(2) == b"a studen"
    assert verbs.status(room.context, "net", [2]).seats[0].reason.startswith("its RAM is saved")  # type: ignore[union-attr]


def test_reset_when_killed_and_ram_was_saved_then_an_undo_has_both() -> None:
    rooms = 0
    for room in killed_with_ram(lambda room: room.reset([2])):
        rooms += 1
        recover(room.context)
        if room.content(2) == b"original":
            assert verbs.verify(room.context, "net", [2]).exit_status == 0, "no RAM is left"
            assert undo(room.context, "net", [2]).exit_status == 0
        check_has_work_and_ram(room)
    assert rooms > 5


def test_undo_when_killed_and_its_reset_dropped_ram_then_recover_brings_both_back() -> None:
    rooms = 0

    def reset_and_undo(room: Tampered) -> None:
        room.reset([2])
        undo(room.context, "net", [2])

    for room in killed_with_ram(reset_and_undo):
        rooms += 1
        recover(room.context)
        if room.content(2) == b"original":
            assert undo(room.context, "net", [2]).exit_status == 0
        check_has_work_and_ram(room)
    assert rooms > 10


def test_recover_when_ram_of_one_cannot_be_dropped_then_only_that_one_is_left() -> None:
    room = Tampered("saved RAM")
    room.dirty(1, 2)
    assert dies_before_text("memory drop_saved_ram", lambda: room.reset([1, 2]))
    room.compute.fail_at("drop_saved_ram", UUID, ComputeFault("not now"))
    (report,) = recover(room.context)
    assert [one.outcome for one in report.seats[1:2]] == [Outcome.UNKNOWN]
    assert (room.content(1), room.content(2)) == (b"original", b"a studen")


@every_way
def test_undo_when_a_machine_was_changed_then_nothing_is_done(room: Tampered) -> None:
    assert told(undo(room.context, "net", [2]))[0] is Outcome.UNKNOWN
    assert (room.acts(), room.content(2)) == (set(), b"original")


@every_way
def test_checkpoint_when_a_machine_was_changed_then_none_is_made(room: Tampered) -> None:
    room.dirty(2)
    assert told(checkpoints.save(room.context, "net", "now", [2]))[0] is Outcome.UNKNOWN
    volumes = room.context.host.observe().volumes.values()
    assert not [v for v in volumes if isinstance(v.labels, CheckpointLabels)
                and v.labels.checkpoint == "now"]  # fmt: skip
    assert room.acts() == set()


@every_way
@pytest.mark.parametrize("verb", ["restore", "hand-out"])
def test_restore_when_a_machine_was_changed_then_nothing_is_done(room: Tampered, verb: str) -> None:
    room.dirty(2)
    if verb == "restore":
        report = checkpoints.restore(room.context, "net", "before", [2])
    else:
        report = checkpoints.hand_out(room.context, "net", "before", 1, [2])
    assert told(report)[0] is Outcome.UNKNOWN
    assert (room.acts(), room.content(2)) == (set(), b"a studen")


@every_content
def test_inspect_when_a_machine_was_changed_then_its_fault_is_shown(room: Tampered) -> None:
    assert "pizarra reset" in inspect.show(room.context, SEAT)["fault"]


@pytest.mark.parametrize("way", ["a snapshot"], indirect=True)
def test_delete_when_there_is_a_snapshot_then_it_is_said(room: Tampered) -> None:
    (_, two, *_) = classrooms.delete(room.context, "net").seats
    assert (two.outcome, "snapshots" in str(two.reason)) == (Outcome.DONE, True)


@every_way
def test_stop_when_a_machine_was_changed_then_it_stops(room: Tampered) -> None:
    assert verbs.stop(room.context, "net", [2], grace_s=0).exit_status == 0


@every_hardware
def test_verbs_when_hardware_was_changed_then_it_is_kept_and_told(room: Tampered) -> None:
    before = room.xml()
    for report in (
        verbs.status(room.context, "net", [2]),
        verbs.verify(room.context, "net", [2]),
    ):
        assert told(report) == (Outcome.DONE, True)
    plan = verbs.reset_plan(room.context, "net", [2], mode=Mode.COLD)
    assert (plan.seats[0].redefined, bool(plan.seats[0].kept)) == (None, True)
    room.dirty(2)
    assert room.reset([2]).exit_status == 0
    assert room.xml() == before


@every_hardware
def test_reset_when_the_policy_says_so_then_hardware_is_put_right_too(room: Tampered) -> None:
    net = room.context.host.observe().classroom("net")
    policy = Policy(changed_hardware=ChangedHardware.RESET)
    write_record(room.context, net, replace(net.record, policy=policy))
    assert told(verbs.verify(room.context, "net", [2])) == (Outcome.UNKNOWN, False)
    assert room.reset([2]).exit_status == 0
    (seat,) = look_at_seats(room.context, "net", [2], any_fault)[1]
    assert (seat.fault, bool(seat.drift)) == (None, False)


@pytest.mark.parametrize("content", sorted(CONTENT))
@pytest.mark.parametrize("hardware", sorted(HARDWARE))
def test_reset_when_content_and_hardware_were_changed_then_only_content_is_put_right(
    content: str, hardware: str
) -> None:
    room = Tampered(hardware)
    room.compute.change(UUID, CONTENT[content])
    (report,) = room.reset([2]).seats
    assert (report.outcome, report.verified) == (Outcome.DONE, True), report.reason
    (seat,) = look_at_seats(room.context, "net", [2], content_fault)[1]
    assert seat.fault is None
    targets = [disk.target for disk in disks_of(room.xml())]
    assert targets.count("vda") == 1, "libvirt takes no two of one name"
    if (content, hardware) not in GONE:
        assert seat.drift.defined, "the hardware stays as it was"


# ---- what keeps a machine from others


def older(xml: str) -> str:
    """The same machine, as a version before defined it."""
    root = etree.fromstring(xml)
    for part in (*root.iterfind("devices/interface"), *root.iterfind("cpu")):
        for tag in ("target", "port", "feature"):
            for one in part.findall(tag):
                part.remove(one)
    return etree.tostring(root, encoding="unicode")


def test_reset_when_an_older_version_made_the_machine_then_original_and_its_limits_come() -> None:
    room = School()
    room.compute.change(UUID, older)
    verbs.start(room.context, "net", [2])
    (seen,) = verbs.status(room.context, "net", [2]).seats
    assert (seen.outcome, seen.verified) == (Outcome.DONE, True)
    assert checkpoints.save(room.context, "net", "now", [2]).exit_status == 0
    assert room.reset([2], Mode.HOT).exit_status == 0, "which defines nothing"
    plan = verbs.reset_plan(room.context, "net", [2], mode=Mode.COLD)
    assert "not held to its own addresses" in str(plan.seats[0].redefined)
    assert room.reset([2]).exit_status == 0
    (seat,) = look_at_seats(room.context, "net", [2], any_fault)[1]
    assert (seat.fault, bool(seat.drift)) == (None, False)


@every_hardware
def test_reset_when_limits_and_hardware_were_changed_then_only_limits_are_put_right(
    room: Tampered,
) -> None:
    room.compute.change(UUID, older)
    assert room.reset([2]).exit_status == 0
    (seat,) = look_at_seats(room.context, "net", [2], content_fault)[1]
    assert {one.grade for one in seat.drift.defined} <= {Grade.HARDWARE}
