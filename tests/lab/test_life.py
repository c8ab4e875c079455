"""The life of a classroom in the lab, from import to delete, on every kind of LVM volume.

The fixtures of tests/lab/school.py import, create and delete, and prove that too.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from pizarra.engine.events import Began, Event
from pizarra.errors import NotFound
from pizarra.model.facts import Power, StorageKind
from pizarra.model.outcome import Mode, Outcome, Report
from pizarra.model.policy import After
from pizarra.service import recover, verbs
from pizarra.service.context import Context
from pizarra.storage.kinds import Kind
from pizarra.system import devmapper
from tests.contract.storage_lvm import VG, lvm
from tests.fixtures.command import CommandResult, check_refused, pizarra
from tests.lab.conftest import command
from tests.lab.school import SEATS, School, console, eventually

on_thin = pytest.mark.parametrize("kind", [Kind.LVM_THIN], indirect=True, scope="session")
ALL = [f"life-{number:02d}" for number in range(1, SEATS + 1)]


def of_all(outcome: str) -> dict[str, str]:
    return dict.fromkeys(ALL, outcome)


def outcomes(report: Report) -> list[Outcome]:
    return [one.outcome for one in report.seats]


# ---- seats that are off


def test_commands_when_a_lesson_is_held_then_each_says_what_it_did(original: School) -> None:
    said = pizarra("start", "life", "--json")
    assert (said.status, said.seats) == (0, of_all("done"))
    original.await_boots(1, 1, 2, 3)
    said = pizarra("start", "life", "--json")
    assert (said.status, said.seats) == (0, of_all("unchanged"))
    status = pizarra("status", "life", "--json").document
    assert [one["power"] for one in status["seats"]] == ["running"] * SEATS
    assert all(one["changed_bytes"] > 0 and one["verified"] is False for one in status["seats"])
    plan = pizarra("reset", "life", "--dry-run", "--json").document
    assert [one["steps"] for one in plan["seats"]] == [["stop", "rewind", "prove", "start"]] * SEATS
    said = pizarra("stop", "life", "--json")
    assert (said.status, said.seats) == (0, of_all("done"))
    assert "did not shut down" not in said.out
    said = pizarra("verify", "life", "--json")
    assert (said.status, said.seats) == (1, of_all("failed"))
    said = pizarra("reset", "life", "--json")
    assert (said.status, said.seats) == (0, of_all("done"))
    assert_contract(said)
    said = pizarra("verify", "life", "2", "--json")
    assert (said.status, said.seats) == (0, {"life-02": "done"})
    shown = pizarra("classroom", "show", "life", "--json").document
    assert list(shown["addresses"]) == ALL


def assert_contract(said: CommandResult) -> None:
    """Check the keys that scripts depend on."""
    document = said.document
    assert {"classroom", "verb", "mode", "elapsed_s", "seats"} <= set(document)
    assert (document["verb"], document["mode"]) == ("reset", "cold")
    for one in document["seats"]:
        assert {"seat", "outcome", "reason", "verified", "timings_ms"} <= set(one)
        assert one["verified"] is True


@pytest.mark.usefixtures("original")
def test_verify_when_deep_then_the_data_is_that_of_the_image(bootsector: Path) -> None:
    said = pizarra("verify", "life", "--deep", "--json")
    assert (said.status, said.seats) == (0, of_all("done")), said.err
    digest = hashlib.sha256(bootsector.read_bytes()).hexdigest()
    assert {one["sha256"] for one in said.document["seats"]} == {digest}
    said = pizarra("reset", "life", "--json")
    assert (said.status, said.seats) == (0, of_all("unchanged"))


def test_verify_when_one_seat_is_dirty_then_exit_1_and_only_that_one_failed(
    original: School,
) -> None:
    verbs.start(original.context, "life", [2])
    original.await_boots(1, 2)
    verbs.stop(original.context, "life", [2], grace_s=0)
    for deep in ((), ("--deep",)):
        said = pizarra("verify", "life", "--json", *deep)
        assert (said.status, said.seats) == (1, of_all("done") | {"life-02": "failed"})
    reason = said.document["seats"][1]["reason"]
    assert "its data is not the original's" in reason


@on_thin
def test_reset_when_one_is_under_way_then_the_second_ends_with_4(original: School) -> None:
    told: list[CommandResult] = []

    def second(event: Event) -> None:
        if isinstance(event, Began):
            told.append(pizarra("reset", "life"))
            told.append(pizarra("reset", "life", "2", "--json"))
            told.append(pizarra("classroom", "delete", "life", "--yes"))

    first = Context(original.context.host, second)
    assert verbs.reset(first, "life").exit_status == 0
    assert [check_refused(said, 4).status for said in told] == [4, 4, 4]
    assert "busy: reset by root, process" in told[0].err
    assert told[1].document["error"]["code"] == "busy"


@on_thin
def test_reset_when_others_seats_are_under_way_then_both_are_done(original: School) -> None:
    told: list[CommandResult] = []

    def second(event: Event) -> None:
        if isinstance(event, Began):
            told.append(pizarra("reset", "life", "3"))
            told.append(pizarra("reset", "life", "1"))

    first = Context(original.context.host, second)
    assert verbs.reset(first, "life", [1, 2]).exit_status == 0
    assert [said.status for said in told] == [0, 4]


@pytest.mark.usefixtures("unharmed")
def test_apply_when_the_file_says_what_is_there_then_unchanged(
    tmp_path: Path, kind: StorageKind
) -> None:
    wish = {"classroom": "life", "template": "boot", "seats": SEATS, "memory": "16M", "vcpus": 1}
    file = tmp_path / "life.yaml"
    file.write_text(json.dumps(wish | {"storage": str(kind)}))
    said = pizarra("classroom", "apply", str(file), "--json")
    assert (said.status, said.seats) == (0, of_all("unchanged")), said.err


@on_thin
def test_seats_when_there_is_none_of_that_number_then_not_found(unharmed: School) -> None:
    for verb in (verbs.start, verbs.stop, verbs.reset, verbs.verify, verbs.status):
        with pytest.raises(NotFound, match="no seat 9"):
            verb(unharmed.context, "life", [1, 9])


@on_thin
def test_start_when_a_seat_cannot_then_failed_and_the_others_run(original: School) -> None:
    """A card on a bridge that the host does not have is hardware, which a reset would keep."""
    command("virsh", "-q", "attach-interface", "life-03", "bridge", "none-such", "--config")
    try:
        report = verbs.start(original.context, "life")
        assert outcomes(report) == [Outcome.DONE, Outcome.DONE, Outcome.FAILED]
        assert "none-such" in str(report.seats[2].reason)
    finally:
        command("virsh", "-q", "detach-interface", "life-03", "bridge", "--config")


# ---- recover


@pytest.mark.usefixtures("unharmed")
def test_recover_when_nothing_is_wrong_then_nothing_changes() -> None:
    said = pizarra("recover", "--json")
    assert said.status == 0, said.err
    (report,) = said.document["classrooms"]
    assert {one["outcome"] for one in report["seats"]} == {"unchanged"}


@on_thin
def test_recover_when_a_machine_is_lost_then_it_is_there_again(original: School) -> None:
    xml = command("virsh", "-q", "dumpxml", "--inactive", "life-02")
    command("virsh", "-q", "undefine", "life-02")
    for verb in ("status", "reset"):
        said = pizarra(verb, "life", "2", "--json")
        assert (said.status, said.seats) == (1, {"life-02": "unknown"}), verb
        assert "run pizarra recover" in said.document["seats"][0]["reason"]
    assert [one.outcome for report in recover.recover(original.context) for one in report.seats] \
        == [Outcome.UNCHANGED, Outcome.DONE, Outcome.UNCHANGED]  # fmt: skip
    again = command("virsh", "-q", "dumpxml", "--inactive", "life-02")
    assert sorted(again.splitlines()) == sorted(xml.splitlines())  # in what order, libvirt decides


@pytest.mark.usefixtures("original")
def test_seat_when_it_stands_on_no_disk_then_never_original_until_recovered() -> None:
    name = devmapper.dm_name(VG, "life-02.vda")
    device = devmapper.device(name)
    assert device is not None
    devmapper.swap(device, devmapper.error_target(device.targets[0].length))
    for verb in (("verify",), ("verify", "--deep"), ("status",)):
        said = pizarra(*verb, "life", "--json")
        assert (said.status, said.seats["life-02"]) == (1, "unknown"), verb
        assert said.document["seats"][1]["verified"] is not True
        assert said.seats["life-01"] == "done"
    plan = pizarra("reset", "life", "2", "--dry-run", "--json").document
    assert plan["seats"][0]["steps"] == ["rewind", "prove"]
    said = pizarra("recover", "--json")
    assert said.status == 0, said.err
    seats = said.document["classrooms"][0]["seats"]
    assert [one["outcome"] for one in seats] == ["unchanged", "done", "unchanged"]
    assert pizarra("verify", "life", "--deep").status == 0


# ---- seats that run: from here on they are reset hot, so that few have to be started


def test_reset_when_hot_then_the_same_qemu_boots_the_original(running: School) -> None:
    before = [running.process(number) for number in (1, 2, 3)]
    with console("life-02") as said:
        done = pizarra("reset", "life", "--mode", "hot", "--json")
        assert (done.status, done.seats) == (0, of_all("done")), done.err
        eventually("it speaks again", lambda: "PIZARRA GUEST ready" in said())
        assert "PIZARRA GUEST life-02 boot 00000001\r\n" in said()
        assert "boot 00000003" not in said()
    running.await_boots(1, 1, 2, 3)
    assert [running.process(number) for number in (1, 2, 3)] == before
    assert running.seat(2).power is Power.RUNNING


# ---- one bad seat


def test_reset_when_a_seat_has_lost_a_label_then_unknown_and_the_others_are_done(
    running: School,
) -> None:
    (tag,) = (tag for tag in tags(running, 2) if tag.startswith("pizarra.baseline="))
    lvm("lvchange", "--deltag", tag, running.disk(2))
    try:
        said = pizarra("reset", "life", "--mode", "hot", "--json")
        assert (said.status, said.seats) == (1, of_all("done") | {"life-02": "unknown"})
        assert "the original state of life-02.vda is missing" in said.document["seats"][1]["reason"]
        assert running.boots(2) == 2
        running.await_boots(1, 1, 3)
    finally:
        lvm("lvchange", "--addtag", tag, running.disk(2))


@on_thin
def test_reset_when_a_volume_has_no_label_at_all_then_it_is_nobodys_and_left_alone(
    running: School,
) -> None:
    ours = tags(running, 2)
    lvm("lvchange", *(part for tag in ours for part in ("--deltag", tag)), running.disk(2))
    try:
        said = pizarra("reset", "life", "--mode", "hot", "--json")
        assert (said.status, set(said.seats)) == (0, {"life-01", "life-03"})
        check_refused(pizarra("reset", "life", "2"), 2)
        assert running.boots(2) == 2
    finally:
        lvm("lvchange", *(part for tag in ours for part in ("--addtag", tag)), running.disk(2))


def tags(school: School, number: int) -> list[str]:
    return lvm("lvs", "--noheadings", "-o", "lv_tags", school.disk(number)).strip().split(",")


def test_reset_when_the_device_of_a_seat_is_gone_then_failed_and_the_others_are_done(
    running: School,
) -> None:
    device = devmapper.dm_name(VG, "life-02.vda")
    command("dmsetup", "rename", device, "elsewhere")
    try:
        report = verbs.reset(running.context, "life", mode=Mode.HOT)
        assert outcomes(report) == [Outcome.DONE, Outcome.FAILED, Outcome.DONE]
        assert report.seats[1].reason
        assert report.seats[1].verified is False
        assert running.seat(2).power is Power.PAUSED, "it may not go on with what it has"
        said = pizarra("verify", "life", "2", "--json")
        assert said.status == 1
        assert said.document["seats"][0]["verified"] is False
        running.await_boots(1, 1, 3)
    finally:
        command("dmsetup", "rename", "elsewhere", device)


# ---- and again


def test_resize_when_seats_come_and_go_then_the_others_stay_as_they_are(running: School) -> None:
    before, seats = running.host_state(), [running.process(number) for number in (1, 2, 3)]
    said = pizarra("classroom", "resize", "life", "--seats", "5", "--json")
    assert (said.status, said.seats) == (0, {"life-04": "done", "life-05": "done"}), said.err
    assert pizarra("verify", "life", "4-5").status == 0
    assert verbs.start(running.context, "life", [5]).exit_status == 0
    running.await_boots(1, 5)
    check_refused(pizarra("classroom", "resize", "life", "--seats", "3"), 2)  # it destroys: --yes
    said = pizarra("classroom", "resize", "life", "--seats", "3", "--yes", "--json")
    assert (said.status, said.seats) == (0, {"life-04": "done", "life-05": "done"}), said.err
    assert running.host_state() == before
    assert [running.process(number) for number in (1, 2, 3)] == seats
    assert [running.boots(number) for number in (1, 2, 3)] == [2, 2, 2]


def test_reset_when_seats_are_as_different_as_can_be_then_each_is_left_as_found(
    running: School,
) -> None:
    """Of three that ran, one is switched off dirty and one original."""
    context = running.context
    verbs.stop(context, "life", [2, 3], grace_s=0)
    verbs.reset(context, "life", [3])
    report = verbs.reset(context, "life")
    assert outcomes(report) == [Outcome.DONE, Outcome.DONE, Outcome.UNCHANGED]
    assert [seat.power for seat in running.seats()] == [Power.RUNNING, Power.OFF, Power.OFF]
    report = verbs.reset(context, "life", after=After.OFF)
    assert outcomes(report) == [Outcome.DONE, Outcome.UNCHANGED, Outcome.UNCHANGED]


def test_reset_when_seats_run_then_they_boot_the_original_again(running: School) -> None:
    before = [running.process(number) for number in (1, 2, 3)]
    said = pizarra("reset", "life", "--json")
    assert (said.status, said.seats) == (0, of_all("done")), said.err
    running.await_boots(1, 1, 2, 3)
    after = [running.process(number) for number in (1, 2, 3)]
    assert not set(before) & set(after), "RAM is only clean in a new process"
