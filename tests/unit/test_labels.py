"""Labels: what is written on a volume is what is read, and damage is never taken for an answer."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pizarra.errors import NotOurs
from pizarra.model.classroom_record import ClassroomRecord, record_parsed
from pizarra.model.hardware import Hardware
from pizarra.model.labels import (
    BaselineLabels,
    CheckpointLabels,
    FillingLabels,
    Firmware,
    InspectionLabels,
    Labels,
    MaintenanceLabels,
    ResetMethod,
    SeatLabels,
    TemplateLabels,
    labels_from_dict,
    labels_from_tags,
)
from pizarra.model.outcome import Mode
from pizarra.model.policy import After, Policy, ResetBy
from tests.fixtures.windows import WINDOWS

WORDS = st.text(alphabet="abz019-=._", max_size=12)
COUNTS = st.integers(0, 2**50)
DISKS = st.sampled_from(["vda", "vdb"])
UUIDS = st.uuids().map(str) | st.just("")
POLICIES = st.builds(
    Policy,
    after_reset=st.sampled_from(After),
    modes=st.lists(st.sampled_from(Mode), min_size=1, unique=True).map(
        lambda chosen: tuple(mode for mode in Mode if mode in chosen)
    ),
    reset_by=st.sampled_from(ResetBy),
    undo_hours=st.none() | st.integers(0, 8760),
    minutes=st.integers(0, 1440),
)
RECORDS = st.builds(
    ClassroomRecord,
    classroom=WORDS,
    template=WORDS,
    version=COUNTS,
    memory_bytes=COUNTS,
    vcpus=COUNTS,
    network=WORDS,
    policy=POLICIES,
)
SEATS = st.builds(
    SeatLabels,
    classroom=WORDS,
    seat=COUNTS,
    machine=WORDS,
    disk=DISKS,
    domain=UUIDS,
    name=WORDS,
    template=WORDS,
    version=COUNTS,
    content_version=COUNTS,
    baseline=UUIDS,
    firmware=st.sampled_from(Firmware),
    firmware_state=st.sampled_from(["", "nvram", "tpm", "nvram+tpm"]),
    hardware=st.sampled_from([Hardware(), WINDOWS, Hardware(bus="scsi")]),
    persistent=st.booleans(),
    reset_method=st.sampled_from(ResetMethod),
)
TEMPLATES = st.builds(
    TemplateLabels,
    template=WORDS,
    version=COUNTS,
    disk=DISKS,
    firmware=st.sampled_from(Firmware),
    persistent=st.booleans(),
    warm=st.booleans(),
)
MAINTENANCES = st.builds(
    MaintenanceLabels,
    template=WORDS,
    version=COUNTS,
    domain=UUIDS,
    memory_bytes=COUNTS,
    vcpus=COUNTS,
    network=WORDS,
)
LABELS: st.SearchStrategy[Labels] = st.one_of(
    SEATS,
    TEMPLATES,
    MAINTENANCES,
    st.builds(BaselineLabels, of=SEATS),
    st.builds(FillingLabels, becoming=st.one_of(SEATS, TEMPLATES, MAINTENANCES)),
    st.builds(CheckpointLabels, checkpoint=WORDS, saved_at=COUNTS, classroom=WORDS, seat=COUNTS),
    st.builds(InspectionLabels, disk=DISKS, classroom=WORDS, seat=COUNTS),
)


@given(LABELS)
def test_labels_when_written_as_tags_then_read_the_same(labels: Labels) -> None:
    assert labels_from_tags(labels.to_tags()) == labels
    assert labels_from_tags(["other", *reversed(labels.to_tags()), "pizarrax"]) == labels


@given(LABELS)
def test_labels_when_written_as_json_then_read_the_same(labels: Labels) -> None:
    assert labels_from_dict(json.loads(json.dumps(labels.to_dict()))) == labels


@given(RECORDS)
def test_record_when_written_then_read_the_same(record: ClassroomRecord) -> None:
    assert record_parsed(record.to_dict()) == record


@given(SEATS, RECORDS)
def test_seat_when_it_carries_the_record_of_its_classroom_then_nothing_of_that_is_lost(
    seat: SeatLabels, record: ClassroomRecord
) -> None:
    """However often its labels are written, until the classroom has a record."""
    told = replace(seat, record=record)
    again = labels_from_tags(told.to_tags())
    assert isinstance(again, SeatLabels)
    expected = ClassroomRecord(
        classroom=seat.classroom,
        template=seat.template,
        version=seat.version,
        memory_bytes=record.memory_bytes,
        vcpus=record.vcpus,
        network=record.network,
        policy=record.policy,
    )
    bare = {*seat.to_tags()} == {*told.to_tags()}
    assert again.record == (None if bare else expected)


@given(st.lists(st.text().filter(lambda tag: not tag.startswith("pizarra."))))
def test_tags_when_none_is_ours_then_there_are_no_labels(tags: list[str]) -> None:
    assert labels_from_tags(tags) is None


@given(st.dictionaries(st.text(), st.text()))
def test_labels_when_any_dictionary_then_are_read_or_refused(raw: dict[str, str]) -> None:
    for start in ({"role": "seat"}, {"role": "seat", "format": "2"}):
        try:
            labels_from_dict(start | raw)
        except NotOurs as error:
            assert str(error)


_SEAT = ["pizarra.role=seat", "pizarra.classroom=net"]


@pytest.mark.parametrize(
    "tags",
    [
        ["pizarra."],
        ["pizarra.role"],
        ["pizarra.role=boss"],
        ["pizarra.seat=1"],
        ["pizarra.role=seat"],
        [*_SEAT, "pizarra.seat="],
        [*_SEAT, "pizarra.seat=one"],
        [*_SEAT, "pizarra.seat=1", "pizarra.way=back"],
        [*_SEAT, "pizarra.seat=1", "pizarra.unheard=1"],
        [*_SEAT, "pizarra.seat=1", "pizarra.seat=2"],
        [*_SEAT, "pizarra.seat=1", "pizarra.format=3"],
        [*_SEAT, "pizarra.seat=1", "pizarra.format=2", "pizarra.still=1"],  # a key of format 1
        ["pizarra.role=seat", "pizarra.role=template"],
        ["pizarra.format=2", "pizarra.role=filling", "pizarra.template=t", "pizarra.version=1"],
        ["pizarra.format=2", "pizarra.role=filling", "pizarra.becomes=inspection"],
    ],
)
def test_tags_when_ours_and_damaged_then_are_refused(tags: list[str]) -> None:
    with pytest.raises(NotOurs):
        labels_from_tags(tags)


def test_labels_when_json_has_other_types_then_are_refused() -> None:
    for text in ("1", "null", "true", "[]", "{}"):
        raw = {"role": "seat", "classroom": "net", "seat": json.loads(text)}
        with pytest.raises(NotOurs):
            labels_from_dict(raw)


def test_labels_when_default_then_only_what_says_something_is_written() -> None:
    seat = SeatLabels(classroom="net", seat=7)
    assert seat.to_tags() == (
        "pizarra.format=2",
        "pizarra.role=seat",
        "pizarra.classroom=net",
        "pizarra.seat=7",
    )
    assert replace(SeatLabels(classroom="net", seat=7, version=3), version=0) == seat


LVM_TAG = re.compile(r"[A-Za-z0-9_+.\-/=!:&#]{1,1024}")  # lvm(8), VALID NAMES and tags


def test_labels_when_as_long_as_they_can_be_then_each_is_an_lvm_tag() -> None:
    seat = SeatLabels(
        classroom="a" * 24, seat=1000, machine="b" * 24, name="c" * 80, template="d" * 24
    )
    for tag in seat.to_tags():
        assert LVM_TAG.fullmatch(tag)
