"""What LVM's reports tell of the health of groups and pools."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pizarra.engine.fitness.facts import LostDisk
from pizarra.engine.fitness.findings import Level
from pizarra.engine.fitness.lvm_parsed import (
    parse_difference,
    parse_groups,
    parse_settings,
    parse_version,
)
from pizarra.errors import StorageFault
from pizarra.model.labels import FillingLabels, Labels, SeatLabels, TemplateLabels
from pizarra.model.sizes import MIB
from tests.unit.test_fitness import GROUP, finding, with_lvm


def report(*rows: dict[str, str], attr: str = "wz--n-") -> str:
    vg = {
        **{"vg_name": "vg_class", "vg_uuid": "u", "vg_size": "21470642176", "vg_free": "4194304"},
        **{"vg_extent_size": "4194304", "vg_attr": attr, "lv_count": str(len(rows))},
        **{"vg_mda_size": "1044480", "vg_mda_free": "519168"},
    }
    return json.dumps({"report": [{"vg": [vg], "seg": list(rows), "lv": []}]})


def row(name: str, segtype: str, **more: str) -> dict[str, str]:
    empty = dict.fromkeys(
        (
            *("lv_tags", "pool_lv", "data_percent", "metadata_percent", "lv_metadata_size"),
            *("lv_health_status", "lv_check_needed", "lv_profile", "seg_monitor"),
        ),
        "",
    )
    return {
        "lv_name": name,
        "lv_uuid": name,
        "lv_size": "1073741824",
        "segtype": segtype,
        **empty,
        **more,
    }


def tags(labels: Labels) -> str:
    return ",".join(labels.to_tags())


def no_profile(profile: str) -> int:
    return {"": 100, "pizarra": 70}[profile]


def test_groups_parsed_when_a_pool_is_ours_then_its_shares_and_threshold_are_told() -> None:
    percents = {"data_percent": "81.50", "metadata_percent": "10.00"}
    pool = row("pizarra", "thin-pool", lv_metadata_size="16777216", seg_monitor="monitored",
               lv_profile="pizarra", **percents)  # fmt: skip
    group = parse_groups(report(pool), "pizarra", no_profile)[0][0]
    assert (group.free_bytes, group.volumes, group.ours) == (4194304, 1, False)
    seen = group.pools[0]
    assert (seen.data_share, seen.metadata_share, seen.metadata_bytes) == (0.815, 0.1, 16 * MIB)
    assert seen.monitored
    assert seen.threshold == 70


def test_groups_parsed_when_a_pool_is_inactive_then_its_shares_are_unknown() -> None:
    pool = parse_groups(report(row("pizarra", "thin-pool")), "pizarra", no_profile)[0][0].pools[0]
    assert (pool.data_share, pool.monitored, pool.threshold) == (None, False, 100)


def test_groups_parsed_when_a_pool_is_of_others_then_it_counts_only_with_volumes_of_ours() -> None:
    pool, seat = row("data", "thin-pool"), row("net-01", "thin", pool_lv="data")
    assert parse_groups(report(pool, seat), "pizarra", no_profile)[0][0].pools == ()
    seat["lv_tags"] = tags(SeatLabels(classroom="net", seat=1))
    group = parse_groups(report(pool, seat), "pizarra", no_profile)[0][0]
    assert [one.name for one in group.pools] == ["data"]
    assert group.thick_seats == 0


def test_groups_parsed_when_seats_are_classic_and_an_import_never_ended_then_both_are_told() -> (
    None
):
    seat = row("net-01", "linear", lv_tags=tags(SeatLabels(classroom="net", seat=1)))
    rest = row(
        "deb-1",
        "linear",
        lv_tags=tags(FillingLabels(becoming=TemplateLabels(template="deb", version=1))),
    )
    damaged = row("x", "linear", lv_tags="pizarra.role=king")
    group = parse_groups(report(seat, rest, damaged, attr="wz-pn-"), "pizarra", no_profile)[0][0]
    assert (group.thick_seats, group.left_over, group.disk_missing) == (1, ("deb-1",), True)


@pytest.mark.parametrize("text", ["", "[]", '{"report": 1}'])
def test_groups_parsed_when_the_report_cannot_be_read_then_it_says_where(text: str) -> None:
    with pytest.raises(StorageFault, match="LVM's report cannot be read"):
        parse_groups(text, "pizarra", no_profile)


def test_groups_parsed_when_there_is_no_group_then_none() -> None:
    assert parse_groups('{"report": []}', "pizarra", no_profile) == ((), ())


def test_groups_parsed_when_one_cannot_be_read_then_it_is_named_and_the_others_go_on() -> None:
    damaged = {"report": [{"vg": [{"vg_name": "a"}]}, *json.loads(report())["report"]]}
    groups, unreadable = parse_groups(json.dumps(damaged), "pizarra", no_profile)
    assert [one.name for one in groups] == ["vg_class"]
    assert [(one.name, one.where) for one in unreadable] == [("a", "vg/0/vg_uuid")]


def test_difference_parsed_when_settings_are_in_sections_then_each_has_its_whole_name() -> None:
    # lvmconfig --typeconfig diff of LVM 2.03.16
    text = """log {
	command_names=1
}
activation {
	volume_list=["vg_a","vg_b/lv"]
}
global {
	units="h"
}
"""
    assert parse_difference(text) == {
        "log/command_names": "1",
        "activation/volume_list": '["vg_a","vg_b/lv"]',
        "global/units": '"h"',
    }


def test_version_parsed_when_lvm_complains_too_then_it_is_still_found() -> None:
    text = "  LVM version:     2.03.16(2) (2022-05-18)\n  Library version: 1.02.185\n"
    assert parse_version(text) == (2, 3, 16)
    assert parse_version("nothing") == ()


def test_settings_parsed_when_values_are_quoted_then_they_are_bare() -> None:
    text = 'monitoring=1\narchive_dir="/etc/lvm/archive"\n'
    assert parse_settings(text) == {"monitoring": "1", "archive_dir": "/etc/lvm/archive"}


def test_namesakes_when_volumes_of_ours_are_in_both_then_nobody_can_tell_which_is_ours() -> None:
    both = tuple(replace(GROUP, uuid=uuid, ours=True) for uuid in ("a", "b"))
    found = finding(with_lvm(groups=both), "volume-group vg_class")
    assert (found.level, found.mend) == (Level.UNFIT, "vgrename b vg_class_2")


def test_judging_when_a_group_lost_its_metadata_then_nobody_is_told_to_make_it_anew() -> None:
    lost = LostDisk(path="/dev/sdb", copy=Path("/etc/lvm/backup/vg_class"))
    found = finding(with_lvm(groups=(), lost_disks=(lost,)), "volume-group vg_class")
    assert found.level is Level.UNFIT
    assert "make no group on it" in str(found.says)
    mend = "pvck --repair -f /etc/lvm/backup/vg_class /dev/sdb && vgchange -ay vg_class"
    assert found.mend == mend


def test_groups_parsed_when_a_label_of_ours_cannot_be_read_then_the_group_is_ours() -> None:
    strange = report(row("x", "linear", lv_tags="theirs,pizarra.role=no-such"))
    assert parse_groups(strange, "pizarra", no_profile)[0][0].ours
