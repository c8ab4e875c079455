"""Undo of a machine that keeps UEFI variables beside its disk, over the memory drivers: a reset may
be cut off before, between and after the two.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pizarra.compute import domain_edit
from pizarra.errors import StorageFault
from pizarra.model.facts import Volume
from pizarra.model.labels import FillingLabels, Firmware, TemplateLabels
from pizarra.model.outcome import Outcome
from pizarra.model.sizes import MIB
from pizarra.service import verbs
from pizarra.service.recover import recover
from pizarra.service.undo import undo as undo_seats
from pizarra.storage.interface import NewVolume
from tests.fixtures.kills import dies_before_text
from tests.unit.test_reset import School

ORIGINAL, BEFORE, NOW = b"original", b"week one", b"week two"


class Uefi(School):
    """Of a template with variables of its own."""

    def _golden(self) -> Volume:
        labels = TemplateLabels(
            template="t", version=1, firmware=Firmware.UEFI, firmware_state="nvram"
        )
        new = NewVolume(labels=FillingLabels(becoming=labels), size_bytes=8 * MIB, name="t.v1.vda")
        golden = self.storage.create_golden(new)
        self.storage.write(golden.name, 0, ORIGINAL)
        kept = self.context.host.states.folder / golden.uuid
        kept.mkdir(parents=True)
        (kept / "nvram").write_bytes(ORIGINAL)
        return self.storage.seal_golden(golden, labels)

    @property
    def nvram(self) -> Path:
        return domain_edit.NVRAM_FOLDER / "net-01_VARS.fd"

    def works(self, data: bytes) -> None:
        self.storage.write("net-01.vda", 0, data)
        self.nvram.write_bytes(data)

    def has(self) -> tuple[bytes, bytes]:
        return self.content(1), self.nvram.read_bytes()


@pytest.fixture
def seat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Uefi:
    monkeypatch.setattr(domain_edit, "NVRAM_FOLDER", tmp_path / "nvram")
    (tmp_path / "nvram").mkdir()
    school = Uefi()
    assert school.has() == (ORIGINAL, ORIGINAL)
    school.works(BEFORE)
    assert school.reset([1]).exit_status == 0
    school.works(NOW)
    return school


def reset(seat: Uefi) -> None:
    assert seat.reset([1]).exit_status == 0


def undo(seat: Uefi) -> None:
    assert undo_seats(seat.context, "net", [1]).exit_status == 0


BEFORE_ITS_STATE, BEFORE_ITS_DISK, BEFORE_THE_END = "state put", "memory change", "journal append"
anywhere = pytest.mark.parametrize(
    "where", ["state save", BEFORE_ITS_DISK, BEFORE_ITS_STATE, BEFORE_THE_END]
)


@anywhere
def test_reset_when_killed_before_or_after_its_disk_then_a_second_one_keeps_all_the_work(
    seat: Uefi, where: str
) -> None:
    assert dies_before_text(where, lambda: reset(seat))
    reset(seat)
    assert seat.has() == (ORIGINAL, ORIGINAL)
    undo(seat)
    assert seat.has() == (NOW, NOW)


def test_reset_when_its_disk_fails_then_all_is_as_before_and_a_second_one_keeps_all_the_work(
    seat: Uefi,
) -> None:
    seat.storage.fail_at("rewind", 1, StorageFault("the disk is gone"))
    assert seat.reset([1]).exit_status == 1
    assert seat.has() == (NOW, NOW)
    reset(seat)
    undo(seat)
    assert seat.has() == (NOW, NOW)


@anywhere
def test_undo_when_killed_before_or_after_its_disk_then_recover_brings_both_together(
    seat: Uefi, where: str
) -> None:
    reset(seat)
    assert dies_before_text(where, lambda: undo(seat))
    recover(seat.context)
    assert seat.has() == (NOW, NOW)
    undo(seat)  # again: it is not taken back
    assert seat.has() == (NOW, NOW)
    undo(seat)
    assert seat.has() == (ORIGINAL, ORIGINAL)


@anywhere
def test_undo_when_the_reset_was_killed_then_both_are_of_this_week(seat: Uefi, where: str) -> None:
    assert dies_before_text(where, lambda: reset(seat))
    undo(seat)
    assert seat.has() == (NOW, NOW)


@anywhere
def test_reset_when_killed_twice_and_booted_in_between_then_no_undo_mixes_weeks(
    seat: Uefi, where: str
) -> None:
    """Nobody recovers in between; somebody starts it by hand."""
    assert dies_before_text(BEFORE_ITS_STATE, lambda: reset(seat))
    seat.works(b"it boots")
    dies_before_text(where, lambda: reset(seat))
    undo(seat)
    assert seat.has() == (NOW, NOW)
    undo(seat)
    assert seat.has() == (ORIGINAL, ORIGINAL)


@anywhere
def test_recover_when_a_reset_was_killed_then_it_is_completed_and_can_start(
    seat: Uefi, where: str
) -> None:
    assert dies_before_text(where, lambda: reset(seat))
    (report,) = recover(seat.context)
    assert report.seats[0].outcome is Outcome.DONE
    assert "done now" in str(report.seats[0].reason)
    (report,) = recover(seat.context)
    assert report.seats[0].outcome is Outcome.UNCHANGED
    assert verbs.start(seat.context, "net", [1]).exit_status == 0
    assert seat.has() == (ORIGINAL, ORIGINAL)
    undo(seat)
    assert seat.has() == (NOW, NOW)


@pytest.mark.parametrize("act", [reset, undo])
@pytest.mark.parametrize("is_recovered", [True, False])
def test_act_when_killed_before_its_disk_and_worked_on_then_no_undo_mixes_two_times(
    seat: Uefi, act: Callable[[Uefi], None], is_recovered: bool
) -> None:
    """Its state was copied already; then somebody starts it by hand, and stops it again."""
    assert dies_before_text(BEFORE_ITS_DISK, lambda: act(seat))
    seat.works(b"week 3..")
    if is_recovered:
        recover(seat.context)
    else:
        act(seat)
    for _ in range(2):
        undo(seat)
        disk, variables = seat.has()
        assert disk == variables
