"""What LVM's report says, as facts."""

from __future__ import annotations

import json

from pizarra.storage.dm_thin.ids import DISCARDED
from pizarra.storage.lvm.report import SEG_FIELDS, VG_FIELDS, facts, parse_groups


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
