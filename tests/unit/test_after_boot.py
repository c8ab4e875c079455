"""A host that booted again: which machines come back, as their classroom's policy says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pizarra.engine.events import Noted
from pizarra.engine.memory_host import memory_host
from pizarra.errors import ComputeFault
from pizarra.model.facts import Power
from pizarra.model.names import seat_uuid
from pizarra.model.outcome import Outcome, Report
from pizarra.service import apply, verbs
from pizarra.service.context import Context
from pizarra.service.guard import guard
from pizarra.service.recover import recover
from pizarra.service.undo import undo
from pizarra.settings import Settings
from tests.unit.test_reset import SEATS, School


class Rebooting:
    """A class whose host goes down and comes up again."""

    def __init__(self, folder: Path, policy: str) -> None:
        self.school, self.boots, self.notes = School(), 0, list[str]()
        self.context = self._host()
        file = folder / "net.yaml"
        lines = ("classroom: net", "template: t", f"seats: {SEATS}", "memory: 64M",
                 "storage: memory", f"after_boot: {policy}")  # fmt: skip
        file.write_text("\n".join(lines))
        plan = apply.plan(self.context, apply.read_spec(file))
        assert apply.carry_out(self.context, plan).exit_status == 0

    def _host(self) -> Context:
        boot = f"boot {self.boots}"
        host = memory_host(self.school.storage, self.school.compute, Settings(at_once=3), boot)
        return Context(host, self._hear)

    def _hear(self, event: object) -> None:
        if isinstance(event, Noted):
            self.notes.append(str(event))

    def boot(self) -> None:
        """Power is cut, and comes again: every machine is off."""
        for number in range(1, SEATS + 1):
            if self.school.power(number) is not Power.OFF:
                self.school.compute.kill(seat_uuid("net", number))
        self.boots += 1
        self.context = self._host()

    def recover(self) -> Report:
        (report,) = recover(self.context)
        return report

    def running(self) -> list[int]:
        powers = {number: self.school.power(number) for number in range(1, SEATS + 1)}
        return [number for number, power in powers.items() if power is Power.RUNNING]


@pytest.mark.parametrize(
    ("policy", "come_back"),
    [("off", []), ("as-before", [2, 4]), ("running", [1, 2, 3, 4, 5])],
)
def test_boot_when_a_policy_says_so_then_these_machines_come_back_and_no_others(
    policy: str, come_back: list[int], tmp_path: Path
) -> None:
    net = Rebooting(tmp_path, policy)
    verbs.start(net.context, "net", [2, 4])
    guard(net.context)
    net.boot()
    guard(net.context)  # the guard of the new boot does not forget who ran
    report = net.recover()
    assert net.running() == come_back
    assert report.exit_status == 0
    said = [one.seat for one in report.seats if "started after the boot" in (one.reason or "")]
    assert said == [f"net-{number:02d}" for number in come_back]


def test_recover_when_given_again_in_the_same_boot_then_starts_nothing(tmp_path: Path) -> None:
    net = Rebooting(tmp_path, "running")
    guard(net.context)
    net.boot()
    net.recover()
    verbs.stop(net.context, "net", grace_s=0)
    guard(net.context)
    assert net.recover().exit_status == 0
    assert net.running() == []
    net.boot()
    net.recover()
    assert net.running() == [1, 2, 3, 4, 5]


def test_boot_when_a_seat_cannot_be_told_whole_then_it_stays_off_until_it_is(
    tmp_path: Path,
) -> None:
    net = Rebooting(tmp_path, "as-before")
    verbs.start(net.context, "net")
    guard(net.context)
    net.boot()
    net.school.compute.fail_at("xml", seat_uuid("net", 3), ComputeFault("no answer"), times=100)
    report = net.recover()
    outcomes = [one.outcome for one in report.seats]
    assert [number for number, one in enumerate(outcomes, 1) if one is Outcome.UNKNOWN] == [3]
    assert net.running() == [1, 2, 4, 5]
    net.school.compute.forget_failures()
    verbs.stop(net.context, "net", [5], grace_s=0)
    net.recover()
    assert net.running() == [1, 2, 3, 4], "the third is whole now; the fifth was switched off"


def test_boot_when_a_machine_comes_back_then_its_content_and_its_undo_are_as_they_were(
    tmp_path: Path,
) -> None:
    net = Rebooting(tmp_path, "as-before")
    net.school.dirty(1, 2)
    verbs.reset(net.context, "net", [1])
    verbs.start(net.context, "net", [1, 2])
    guard(net.context)
    net.boot()
    net.recover()
    assert net.running() == [1, 2]
    assert net.school.content(2) == b"a studen", "work goes on where it was"
    assert undo(net.context, "net", [1]).exit_status == 0
    assert net.school.content(1) == b"a studen"


def test_boot_when_the_pool_is_nearly_full_then_no_undo_goes_for_a_start(tmp_path: Path) -> None:
    net = Rebooting(tmp_path, "running")
    net.school.dirty(1)
    verbs.reset(net.context, "net", [1])
    guard(net.context)
    net.boot()
    disks = net.school.storage.disks
    disks.size_bytes = disks.used_bytes()
    assert net.recover().exit_status == 0
    assert net.running() == []
    assert any("net is not started after the boot: memory is nearly full" in n for n in net.notes)
    assert undo(net.context, "net", [1]).exit_status == 0


def test_boot_when_nothing_was_noted_then_nothing_starts(tmp_path: Path) -> None:
    net = Rebooting(tmp_path, "running")
    net.boot()
    net.recover()
    assert net.running() == []
    guard(net.context)
    note = net.context.host.settings.state_folder / "power.json"
    note.write_text("{", encoding="utf-8")
    net.boot()
    assert net.recover().exit_status == 0
