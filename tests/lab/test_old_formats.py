"""A host that version ab156f6 left: its classrooms are reset as they are, and written anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from pizarra.model.facts import StorageKind
from pizarra.model.labels import PREFIX, labels_from_tags
from pizarra.model.policy import After
from pizarra.service import classrooms, recover, verbs
from pizarra.service.context import Context
from pizarra.storage.kinds import Kind
from tests.contract.storage_lvm import VG, lvm
from tests.fixtures.command import pizarra
from tools.format_1 import format_1_of


def all_tags() -> dict[str, set[str]]:
    """Ours, by volume; the group's under ""."""
    lines = lvm("lvs", "--noheadings", "--separator", "|", "-o", "lv_name,lv_tags", VG).splitlines()
    found = {name.strip(): tags for name, _, tags in (line.partition("|") for line in lines)}
    found[""] = lvm("vgs", "--noheadings", "-o", "vg_tags", VG)
    return {
        name: ours
        for name, tags in found.items()
        if (ours := {tag for tag in tags.strip().split(",") if tag.startswith(PREFIX)})
    }


def write_old_tags(lab: Context) -> None:
    """Every tag as ab156f6 wrote it; a record was on each seat."""
    facts = lab.host.observe()
    for volume in facts.volumes.values():
        if volume.labels is not None:
            old = {*format_1_of(volume.labels, facts.classroom("net").record).to_tags()}
            tags = [part for tag in {*volume.tags} - old for part in ("--deltag", tag)]
            tags += [part for tag in old - {*volume.tags} for part in ("--addtag", tag)]
            lvm("lvchange", "-y", *tags, f"{VG}/{volume.name}")
    for tag in all_tags()[""]:
        lvm("vgchange", "--deltag", tag, VG)


@pytest.mark.parametrize("kind", [Kind.LVM_THIN, Kind.LVM_THICK])
def test_host_when_of_format_1_then_is_reset_as_it_is_and_recover_writes_it_anew(
    lab: Context, bootsector: Path, tmp_path: Path, kind: StorageKind
) -> None:
    where = ("--storage", kind, "--vg", VG)
    assert pizarra("template", "import", "boot", str(bootsector), *where).status == 0
    file = tmp_path / "net.yaml"
    file.write_text("classroom: net\ntemplate: boot\nseats: 2\nmemory: 16M\nvcpus: 1\n"
                    "reset_by: teachers\nminutes: 45\n")  # fmt: skip
    assert pizarra("classroom", "apply", str(file), "--yes").status == 0
    new, before = all_tags(), lab.host.observe()
    write_old_tags(lab)
    old = all_tags()
    assert "" not in old
    assert all("pizarra.format=2" not in tags for tags in old.values())
    was = lab.host.observe()
    assert classrooms.classroom_json(was.classroom("net")) == classrooms.classroom_json(
        before.classroom("net")
    )
    for name, tags in old.items():
        assert labels_from_tags(tags) is not None, name
    assert verbs.start(lab, "net").exit_status == 0
    report = verbs.reset(lab, "net", after=After.OFF)
    assert report.exit_status == 0, report
    assert all_tags() == old, "a reset writes no LVM metadata"
    (report,) = recover.recover(lab)
    assert report.exit_status == 0, report
    assert all_tags() == new
    now = lab.host.observe()
    assert {uuid: one.labels for uuid, one in now.volumes.items()} == {
        uuid: one.labels for uuid, one in before.volumes.items()
    }
    assert classrooms.delete(lab, "net").exit_status == 0
    assert pizarra("template", "delete", "boot", *where, "--yes").status == 0
    assert all_tags() == {}
