"""Undo of a machine that keeps UEFI variables beside its disk, over the memory drivers: a reset may
be cut off before, between and after the two.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from pizarra.compute import domain_edit
from pizarra.engine import machine_state
from pizarra.errors import StorageFault, Unsupported
from pizarra.model.facts import Volume
from pizarra.model.labels import FillingLabels, Firmware, TemplateLabels
from pizarra.model.outcome import Outcome
from pizarra.model.sizes import MIB
from pizarra.service import verbs
from pizarra.service.recover import recover
from pizarra.service.undo import undo as undo_seats
from pizarra.storage.interface import NewVolume
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
        return domain_edit._NVRAM / "net-01_VARS.fd"

    def works(self, data: bytes) -> None:
        self.storage.write("net-01.vda", 0, data)
        self.nvram.write_bytes(data)

    def has(self) -> tuple[bytes, bytes]:
        return self.content(1), self.nvram.read_bytes()


class Cut(Exception):
    """The process is killed."""


@pytest.fixture
def seat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Uefi:
    monkeypatch.setattr(domain_edit, "_NVRAM", tmp_path / "nvram")
    (tmp_path / "nvram").mkdir()
    school = Uefi()
    assert school.has() == (ORIGINAL, ORIGINAL)
    school.works(BEFORE)
    assert school.reset([1]).exit_status == 0
    school.works(NOW)
    return school


def reset(seat: Uefi) -> None:
    assert seat.reset([1]).exit_status == 0


def killed(
    seat: Uefi,
    patched: pytest.MonkeyPatch,
    state: str,
    act: Callable[[Uefi], None],
    of: object | None = None,
) -> None:
    """Before that is done with its state."""

    def kill(*_: object, **__: object) -> None:
        raise Cut

    with patched.context() as now:
        now.setattr(of or seat.context.host.states, state, kill)
        with pytest.raises(Cut):
            act(seat)


def undo(seat: Uefi) -> None:
    assert undo_seats(seat.context, "net", [1]).exit_status == 0


@pytest.mark.parametrize("state", ["prepare", "commit"])
def test_reset_when_killed_before_or_after_its_disk_then_a_second_one_keeps_all_the_work(
    seat: Uefi, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    killed(seat, monkeypatch, state, reset)
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


@pytest.mark.parametrize("state", ["prepare_swap", "commit_swap"])
def test_undo_when_killed_before_or_after_its_disk_then_recover_brings_both_together(
    seat: Uefi, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    reset(seat)
    killed(seat, monkeypatch, state, undo)
    recover(seat.context)
    assert seat.has() in {(ORIGINAL, ORIGINAL), (NOW, NOW)}
    undo(seat)  # again: it is not taken back
    assert seat.has() == (NOW, NOW)
    undo(seat)
    assert seat.has() == (ORIGINAL, ORIGINAL)


def test_undo_when_the_reset_was_killed_before_the_state_then_both_are_of_this_week(
    seat: Uefi, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(seat, monkeypatch, "commit", reset)
    undo(seat)
    assert seat.has() == (NOW, NOW)


def test_reset_when_killed_twice_and_worked_on_in_between_then_no_undo_mixes_weeks(
    seat: Uefi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody recovers in between; the second one dies before its disk."""
    killed(seat, monkeypatch, "commit", reset)
    seat.works(b"week 3..")
    killed(seat, monkeypatch, "prepare", reset)
    with suppress(Unsupported):
        undo(seat)
    disk, variables = seat.has()
    assert disk == variables
    reset(seat)
    undo(seat)
    assert seat.has() == (disk, variables)


def test_recover_when_a_reset_was_killed_before_the_state_and_worked_on_then_it_says_so(
    seat: Uefi, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(seat, monkeypatch, "commit", reset)
    seat.storage.write("net-01.vda", 0, b"week 3..")
    for _ in range(2):
        (report,) = recover(seat.context)
        assert report.seats[0].outcome is Outcome.UNCHANGED
        assert "half done" in str(report.seats[0].reason)
    (outcome,) = verbs.start(seat.context, "net", [1]).seats
    assert outcome.outcome is Outcome.FAILED
    reset(seat)
    assert seat.has() == (ORIGINAL, ORIGINAL)
    undo(seat)
    assert seat.has() == (b"week 3..", NOW)


def test_reset_when_killed_in_the_middle_of_the_state_then_a_second_one_keeps_all_the_work(
    seat: Uefi, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(seat, monkeypatch, "_put", reset, machine_state)
    recover(seat.context)
    reset(seat)
    assert seat.has() == (ORIGINAL, ORIGINAL)
    undo(seat)
    assert seat.has() == (NOW, NOW)
