"""Labels: what is written on a volume is what is read, and damage is never taken for an answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pizarra.errors import NotOurs
from pizarra.model.labels import (
    Firmware,
    Labels,
    Role,
    Way,
    labels_from_dict,
    labels_from_tags,
)

WORDS = st.text(alphabet="abz019-=.:_", max_size=12)
COUNTS = st.integers(0, 2**50)
LABELS = st.builds(
    Labels,
    role=st.sampled_from(Role),
    template=WORDS,
    version=COUNTS,
    disk=WORDS,
    firmware=st.sampled_from(Firmware),
    classroom=WORDS,
    seat=COUNTS,
    domain=st.uuids().map(str) | st.just(""),
    name=WORDS,
    baseline=WORDS,
    way=st.sampled_from(Way),
    memory_bytes=COUNTS,
    vcpus=COUNTS,
    network=WORDS,
)


@given(LABELS)
def test_labels_when_written_as_tags_then_read_the_same(labels: Labels) -> None:
    assert labels_from_tags(labels.to_tags()) == labels
    assert labels_from_tags(["other", *reversed(labels.to_tags()), "pizarrax"]) == labels


@given(LABELS)
def test_labels_when_written_as_json_then_read_the_same(labels: Labels) -> None:
    assert labels_from_dict(json.loads(json.dumps(labels.to_dict()))) == labels


@given(st.lists(st.text().filter(lambda tag: not tag.startswith("pizarra."))))
def test_tags_when_none_is_ours_then_there_are_no_labels(tags: list[str]) -> None:
    assert labels_from_tags(tags) is None


@given(st.dictionaries(st.text(), st.text()))
def test_labels_when_any_dictionary_then_are_read_or_refused(raw: dict[str, str]) -> None:
    try:
        labels_from_dict({"role": "seat"} | raw)
    except NotOurs as error:
        assert str(error)


@pytest.mark.parametrize(
    "tags",
    [
        ["pizarra."],
        ["pizarra.role"],
        ["pizarra.role=boss"],
        ["pizarra.seat=1"],
        ["pizarra.role=seat", "pizarra.seat="],
        ["pizarra.role=seat", "pizarra.seat=one"],
        ["pizarra.role=seat", "pizarra.way=back"],
        ["pizarra.role=seat", "pizarra.unheard=1"],
        ["pizarra.role=seat", "pizarra.role=template"],
        ["pizarra.role=seat", "pizarra.seat=1", "pizarra.seat=2"],
    ],
)
def test_tags_when_ours_and_damaged_then_are_refused(tags: list[str]) -> None:
    with pytest.raises(NotOurs):
        labels_from_tags(tags)


def test_labels_when_json_has_other_types_then_are_refused() -> None:
    for text in ("1", "null", "true", "[]", "{}"):
        with pytest.raises(NotOurs):
            labels_from_dict({"role": "seat", "seat": json.loads(text)})


def test_labels_when_default_then_only_the_role_is_written() -> None:
    assert Labels(role=Role.SEAT).to_tags() == ("pizarra.role=seat",)
    assert Labels(role=Role.SEAT, seat=7).but(seat=0) == Labels(role=Role.SEAT)
