"""What version ab156f6 left on a host is read, and written anew: tests/fixtures/formats_1.

The samples come from a lab in which that version made everything that it could make.
``maintaining`` was taken while templates were being changed, ``published`` after that, with three
things cut off.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pizarra.compute.memory import MemoryCompute
from pizarra.engine.host import Host
from pizarra.model.classroom_record import ClassroomRecord
from pizarra.model.facts import StorageFacts, StorageKind, Volume, labelled
from pizarra.model.labels import (
    PREFIX,
    BaselineLabels,
    CheckpointLabels,
    FillingLabels,
    InspectionLabels,
    Labels,
    MaintenanceLabels,
    ResetMethod,
    SeatLabels,
    TemplateLabels,
    labels_from_tags,
    seat_labels_of,
    version_labels_of,
)
from pizarra.model.outcome import Mode
from pizarra.model.policy import After, Policy, ResetBy
from pizarra.planner.host_facts import HostFacts, assemble
from pizarra.service import records
from pizarra.service.classrooms import classroom_json
from pizarra.service.context import Context
from pizarra.settings import Settings
from pizarra.storage.interface import Capabilities, Storage
from pizarra.storage.lvm import commands, report
from pizarra.storage.lvm.records import record_tag, records_seen
from pizarra.storage.qcow2.sidecar import read_sidecar
from pizarra.storage.qcow2.store import Qcow2Store
from tools.format_1 import format_1_of, write_format_1

SAMPLES = Path(__file__).parents[1] / "fixtures" / "formats_1"
MOMENTS = ["maintaining", "published"]


def lvm_facts(moment: str) -> StorageFacts:
    text = (SAMPLES / moment / "fullreport.json").read_text()
    return report.facts(report.parse_groups(text))


def lvm_volumes(moment: str) -> dict[str, Volume]:
    return {volume.name: volume for volume in lvm_facts(moment).volumes}


def host_facts(moment: str) -> HostFacts:
    return assemble([lvm_facts(moment)], [])


@pytest.mark.parametrize("moment", MOMENTS)
def test_volumes_when_of_format_1_then_each_is_understood_and_known_to_be_old(moment: str) -> None:
    volumes = [volume for volume in lvm_facts(moment).volumes if volume.tags]
    assert len(volumes) >= 15
    for volume in volumes:
        assert (volume.fault, volume.has_old_labels) == (None, True), volume.name
        assert volume.labels is not None
        assert labels_from_tags(volume.labels.to_tags()) == volume.labels


@pytest.mark.parametrize("moment", MOMENTS)
def test_labels_when_written_back_then_say_what_that_version_wrote(moment: str) -> None:
    """That version wrote more on checkpoints, which says nothing there."""
    facts = host_facts(moment)
    written = 0
    for volume in facts.volumes.values():
        labels = volume.labels
        if labels is None or isinstance(labels, FillingLabels):
            continue
        seat = seat_labels_of(labels)
        record = facts.classroom(seat.classroom).record if seat else None
        back = format_1_of(labels, record)
        there = {tag for tag in volume.tags if tag.startswith(PREFIX)}
        assert set(back.to_tags()) <= there, volume.name
        if isinstance(labels, SeatLabels | TemplateLabels | MaintenanceLabels):
            assert set(back.to_tags()) == there, volume.name
        assert not back.lost
        written += 1
    assert written >= 15


def test_labels_when_of_format_1_then_every_role_has_its_class() -> None:
    maintaining, published = lvm_volumes("maintaining"), lvm_volumes("published")
    assert maintaining["boot.v2.vda"].labels == MaintenanceLabels(
        template="boot",
        version=2,
        domain="2a55600a-001d-5125-bada-ba5389aea0df",
        memory_bytes=64 << 20,
        vcpus=1,
        network="nat",
    )
    assert isinstance(maintaining["net-02.vda.present-view"].labels, InspectionLabels)
    boot = TemplateLabels(template="boot", version=1)
    assert published["boot.v1.vda"].labels == boot
    assert published["boot.v1.vdb"].labels == replace(boot, disk="vdb", persistent=True)
    assert version_labels_of(published["half-lvm-thin"].labels) == TemplateLabels(
        template="half", version=1
    )
    saved = published["net-01.vda.checkpoint.homework"].labels
    assert isinstance(saved, CheckpointLabels)
    assert (saved.checkpoint, saved.classroom, saved.seat) == ("homework", "net", 1)
    assert (saved.version, saved.content_version, saved.memory_bytes) == (1, 0, 64 << 20)
    seat = published["net-01.vda"].labels
    assert isinstance(seat, SeatLabels)
    assert (seat.version, seat.content_version, seat.machine) == (2, 1, "")
    firmware = published["firm-01.vda"].labels
    assert isinstance(firmware, SeatLabels)
    assert (firmware.firmware, firmware.firmware_state) == ("uefi", "nvram")


def test_labels_when_of_a_merge_or_a_move_that_was_cut_off_then_say_what_was_meant() -> None:
    volumes = lvm_volumes("published")
    seat, original = volumes["win7"].labels, volumes["win7.original"].labels
    assert isinstance(seat, SeatLabels)
    assert (seat.baseline, seat.reset_method, seat.name) == ("merging", ResetMethod.MERGE, "win7")
    assert isinstance(original, BaselineLabels)
    assert original.of == replace(seat, baseline="")
    following = volumes["old-01.vda.next"].labels
    assert isinstance(following, FillingLabels)
    assert isinstance(following.becoming, SeatLabels)
    assert (following.becoming.classroom, following.becoming.domain) == ("old", "")


def test_classrooms_when_seats_carry_the_record_then_are_shown_as_they_were() -> None:
    """Compared with what ``pizarra classroom list --json`` of that version said."""
    facts = host_facts("published")
    was = {one["classroom"]: one for one in json.loads((SAMPLES / "classrooms.json").read_text())}
    assert set(facts.classrooms) == {"adopted", "firm", "net", "old"}  # and room, on files
    for name, classroom in facts.classrooms.items():
        assert (classroom.recorded_at, classroom.record_fault) == ((), None)
        shown = classroom_json(classroom)
        for key in ("template", "version", "memory_bytes", "vcpus", "network", "policy", "seats"):
            if key == "policy":
                new = {"changed_hardware": "keep", "growth_bytes": None, "weight": 100,
                       "nested": False, "after_boot": "off"}  # fmt: skip
                assert {one: shown[key].pop(one) for one in new} == new, "it did not know these"
            assert shown[key] == was[name][key], (name, key)


def test_record_when_seats_carry_it_then_has_all_that_they_said() -> None:
    record = host_facts("maintaining").classroom("net").record
    assert record == ClassroomRecord(
        classroom="net",
        template="boot",
        version=1,
        memory_bytes=64 << 20,
        vcpus=1,
        network="nat",
        policy=Policy(
            after_reset=After.RUNNING,
            modes=(Mode.COLD, Mode.HOT),
            reset_by=ResetBy.TEACHERS,
            undo_hours=2,
            minutes=45,
        ),
    )
    (seen,) = records_seen("vg0", ["other", record_tag(record)])
    assert seen.record == record


def test_set_labels_when_tags_are_of_format_1_then_all_of_those_go_in_the_same_command() -> None:
    volume = lvm_volumes("published")["net-01.vda"]
    assert isinstance(volume.labels, SeatLabels)
    wanted = replace(volume.labels, record=None)
    argv = commands.set_labels(volume, wanted)
    gone = {argv[at + 1] for at, part in enumerate(argv) if part == "--deltag"}
    added = {argv[at + 1] for at, part in enumerate(argv) if part == "--addtag"}
    assert (set(volume.tags) - gone) | added == set(wanted.to_tags())
    assert "pizarra.still=1" in gone
    assert "pizarra.memory_bytes=67108864" in gone


@pytest.mark.parametrize("moment", MOMENTS)
def test_sidecars_when_of_format_1_then_each_is_understood(moment: str) -> None:
    found = sorted((SAMPLES / moment / "qcow2").rglob("*.json"))
    assert len(found) > 8
    for path in found:
        sidecar = read_sidecar(path.with_suffix(""))
        assert sidecar is not None
        assert sidecar.uuid
        assert "pizarra.format=2" not in sidecar.tags


class Folder:
    """The storage of a host that has only a folder of images."""

    def __init__(self, store: Qcow2Store) -> None:
        self.store = store
        self.capabilities: Mapping[StorageKind, Capabilities] = {store.kind: store.capabilities}
        self.folders: Mapping[StorageKind, str] = {store.kind: store.place}

    def observe(self) -> tuple[StorageFacts, ...]:
        return (self.store.observe(),)

    def at(self, kind: StorageKind, place: str) -> Storage:
        assert (kind, place) == (self.store.kind, self.store.place)
        return self.store


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """The sidecars of version ab156f6, each with an image."""
    for path in sorted((SAMPLES / "published" / "qcow2").rglob("*.json"), reverse=True):
        image = tmp_path / path.parent.name / path.stem
        image.parent.mkdir(exist_ok=True)
        (image.parent / path.name).write_bytes(path.read_bytes())
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "8M"], check=True)
    return Folder(Qcow2Store(tmp_path))


def told(volumes: Mapping[str, Volume]) -> dict[str, Labels | None]:
    """What labels say, but for the record that a seat may carry."""
    return {
        name: replace(volume.labels, record=None)
        if isinstance(volume.labels, SeatLabels)
        else volume.labels
        for name, volume in volumes.items()
    }


def test_recover_when_the_host_is_of_format_1_then_all_is_written_anew_and_says_the_same(
    folder: Folder, tmp_path: Path
) -> None:
    events: list[Any] = []
    settings = Settings(folder=tmp_path)
    context = Context(Host(settings, MemoryCompute(), folder), events.append)
    before = context.host.observe()
    records.recover(context, before)
    after = context.host.observe()
    was = {volume.name: volume for volume in before.volumes.values()}
    now = {volume.name: volume for volume in after.volumes.values()}
    assert told(now) == told(was)
    assert {name for name, one in now.items() if one.has_old_labels} == {"half-qcow2"}
    assert all(seat.labels.record is None for seat in labelled(after.volumes.values(), SeatLabels))
    room = after.classroom("room")
    assert room.recorded_at == (str(tmp_path),)
    assert room.record.id, "format 1 knew none"
    assert replace(room.record, id="") == before.classroom("room").record
    assert [seat.fault for seat in room.seats] == [s.fault for s in before.classroom("room").seats]
    records.recover(context, after)
    assert context.host.observe().volumes == after.volumes, "twice is once"
    assert events == []


def test_labels_when_written_back_into_files_then_are_of_format_1_as_they_were(
    folder: Folder, tmp_path: Path
) -> None:
    context = Context(Host(Settings(folder=tmp_path), MemoryCompute(), folder))
    before = context.host.observe()
    records.recover(context, before)
    assert write_format_1(context) == []
    after = context.host.observe()
    assert all(volume.has_old_labels for volume in after.volumes.values())
    assert after.records == ()
    assert {uuid: one.labels for uuid, one in after.volumes.items()} == {
        uuid: one.labels for uuid, one in before.volumes.items()
    }
    assert after.classroom("room").record == before.classroom("room").record
