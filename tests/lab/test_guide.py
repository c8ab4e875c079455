"""Runs the commands of the guide and of the first steps on LVM, one after another, as a reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from pizarra.service.context import Context
from pizarra.storage.kinds import Kind
from tests.contract.storage_lvm import VG
from tests.fixtures.command import pizarra
from tests.lab.conftest import ROOT, command
from tests.meta.doc_commands import read_blocks


@pytest.fixture
def desk(
    lab: Context, bootsector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Context:
    """A folder with what the reader of a page has: a golden disk, and a classroom's file."""
    image = tmp_path / "debian-12.qcow2"
    command("qemu-img", "convert", "-O", "qcow2", bootsector, image)
    (tmp_path / "net.yaml").write_text(
        "{classroom: net, template: debian, seats: 3, memory: 16M, vcpus: 1, network: none,"
        " after_reset: running, undo_hours: 72}"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIZARRA_VG", VG)
    monkeypatch.setenv("PIZARRA_GRACE_S", "90")  # a guest in an emulator in an emulator
    return lab


def follow(page: str, until: str = "\0") -> list[str]:
    """Give every command of ours that a page tells to give before a heading; each must succeed."""
    text, _, _ = (ROOT / "docs" / page).read_text(encoding="utf-8").partition(until)
    found = [told for told in read_blocks(text) if told.words[0] == "pizarra"]
    for told in found:
        said = pizarra(*told.words[1:])
        assert said.status == 0, (told.line, said.out, said.err)
    return [told.line for told in found]


def test_first_steps_when_followed_then_a_class_is_reset_and_proven(desk: Context) -> None:
    assert len(follow("first-steps.md", "\n## The dashboard\n")) > 8
    room = desk.host.observe().classrooms["net"]
    assert {volume.kind for seat in room.seats for volume in seat.volumes} == {Kind.LVM_THIN}
    said = pizarra("verify", "net", "--json")
    assert set(said.seats.values()) == {"done"}


def test_guide_when_followed_on_lvm_then_every_command_does_what_it_says(desk: Context) -> None:
    assert len(follow("guide.md")) > 15
    facts = desk.host.observe()
    assert not facts.classrooms
    assert not facts.templates
