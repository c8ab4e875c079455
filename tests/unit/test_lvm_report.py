"""What LVM's report says, as facts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from pizarra.model.facts import StorageFacts
from pizarra.storage.dm_thin.ids import DISCARDED
from pizarra.storage.lvm.report import SEG_FIELDS, VG_FIELDS, facts, parse_groups

SAMPLES = Path(__file__).parents[1] / "fixtures" / "lvm"


def row(fields: str, **values: object) -> dict[str, object]:
    return dict.fromkeys(fields.split(","), "") | values


def volume(name: str, pool: str, thin_id: int) -> dict[str, object]:
    return row(
        SEG_FIELDS, lv_name=name, lv_uuid=name, lv_size="8", pool_lv=pool, thin_id=str(thin_id),
        segtype="thin", lv_attr="Vwi-a-tz--",
    )  # fmt: skip


def test_facts_when_a_thin_id_is_one_that_undos_have_then_its_whole_pool_is_left_alone() -> None:
    group = row(VG_FIELDS, vg_name="vg", vg_size="9", vg_free="9", vg_extent_size="4")
    volumes = [volume("ours", "p", 3), volume("theirs", "p", DISCARDED), volume("fine", "q", 3)]
    text = json.dumps({"report": [{"vg": [group], "seg": volumes}]})
    faults = {one.name: one.fault for one in facts(parse_groups(text)).volumes}
    assert faults["fine"] is None
    assert "so high" in str(faults["ours"])


def test_facts_when_lvm_remarks_something_between_the_lines_then_they_are_read() -> None:
    vg = row(VG_FIELDS, vg_name="vg", vg_size="9", vg_free="9", vg_extent_size="4")
    text = json.dumps({"report": [{"vg": [vg], "seg": [volume("fine", "q", 3)]}]}, indent=2)
    first, rest = text.split("\n", 1)
    report = f"{first}\n  Retrying metadata scan.\n{rest}"
    assert [one.name for one in facts(parse_groups(report)).volumes] == ["fine"]


def group(name: str, uuid: str, *volumes: dict[str, object], **values: object) -> dict[str, object]:
    numbers = {"vg_size": "9", "vg_free": "9", "vg_extent_size": "4", "vg_attr": "wz--n-"}
    vg = row(VG_FIELDS, vg_name=name, vg_uuid=uuid, **{**numbers, **values})
    return {"vg": [vg], "pv": [{"pv_name": "/dev/vda"}], "seg": list(volumes)}


def facts_of(*parts: Mapping[str, object]) -> StorageFacts:
    return facts(parse_groups(json.dumps({"report": parts})))


def test_facts_when_a_disk_is_in_no_group_then_the_groups_are_as_ever() -> None:
    loose = {"pv": [{"pv_name": "/dev/vdb"}], "pvseg": [{"pv_name": "/dev/vdb"}]}
    seen = facts_of(group("vg", "1", volume("v", "p", 3)), loose)
    assert [(one.name, one.fault) for one in seen.volumes] == [("v", None)]
    assert [pool.name for pool in seen.pools] == ["vg"]


def test_facts_when_two_groups_have_one_name_then_both_are_there_at_fault_and_a_third_is_not() -> (
    None
):
    groups = (group("vg", "1", volume("ours", "p", 3)), group("vg", "2", volume("x", "p", 3)))
    seen = facts_of(*groups, group("other", "3", volume("fine", "p", 3)))
    faults = {one.name: one.fault for one in seen.volumes}
    assert faults["fine"] is None
    assert "vgrename 2 NEW_NAME" in str(faults["ours"])
    assert "vgrename 1 NEW_NAME" in str(faults["x"])
    assert [bool(pool.fault) for pool in seen.pools] == [True, True, False]


def ours(name: str) -> dict[str, object]:
    return volume(name, "p", 3) | {"lv_tags": "pizarra.role=golden"}


def test_facts_when_two_groups_have_one_name_and_one_is_ours_then_it_goes_on() -> None:
    seen = facts_of(group("vg", "1", ours("v")), group("vg", "2", volume("v", "p", 3)))
    assert [(one.uuid, one.place) for one in seen.volumes] == [("v", "vg")]
    assert [(pool.name, pool.fault) for pool in seen.pools] == [("vg", None)]
    assert [str(one).rpartition(": ")[2] for one in seen.strange] == ["vgrename 2 NAME"]


def test_facts_when_two_groups_have_one_name_and_both_are_ours_then_neither_is_touched() -> None:
    seen = facts_of(group("vg", "1", ours("v")), group("vg", "2", ours("w")))
    assert all("vgrename" in str(one.fault) for one in seen.volumes)
    assert (len(seen.volumes), seen.strange) == (2, ())


def test_facts_when_a_group_is_exported_then_its_volumes_say_so() -> None:
    seen = facts_of(group("vg", "1", volume("v", "p", 3), vg_attr="wzx-n-"))
    assert "vgimport vg" in str(seen.volumes[0].fault)


def test_facts_when_a_copy_of_a_disk_is_connected_then_neither_volume_is_trusted() -> None:
    seen = facts_of(group("vg", "1", volume("v", "p", 3)), group("copy", "2", volume("v", "p", 3)))
    assert all("copy of its disk" in str(one.fault) for one in seen.volumes)


def test_facts_when_one_group_cannot_be_read_then_it_is_a_pool_at_fault() -> None:
    seen = facts_of(group("odd", "1", vg_size="9.00g"), group("vg", "2", volume("v", "p", 3)))
    assert [one.name for one in seen.volumes] == ["v"]
    faults = {pool.name: pool.fault for pool in seen.pools}
    assert faults["vg"] is None
    assert "cannot be read at vg/0/vg_size" in str(faults["odd"])


@pytest.mark.parametrize(("name", "exported"), [("twins", False), ("exported", True)])
def test_facts_when_lvm_itself_tells_of_a_loose_disk_and_of_two_groups_then_only_those_are_strange(
    name: str, *, exported: bool
) -> None:
    """The texts of LVM 2.03.16: a disk in no group, and two groups called vg_twin."""
    text = (SAMPLES / f"{name}.json").read_text()
    assert ("wzx-n-" in text) is exported
    pools = facts(parse_groups(text)).pools
    assert [(pool.name, bool(pool.fault)) for pool in pools] == [
        ("vg_twin", True),
        ("vg_twin", True),
        ("vg_class", False),
    ]
