"""What leaves a machine that was changed behind our back: versions of templates, files for other
hosts. And what is said of a machine that an older version adopted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pizarra.engine.events import Event, Noted
from pizarra.errors import ComputeFault, NotOurs
from pizarra.model.names import seat_uuid
from pizarra.model.sizes import MIB
from pizarra.service import checkpoints, export, maintenance, verbs
from pizarra.service.recover import recover
from tests.contract.storage_qcow2 import image_read, write_image
from tests.fixtures.host_state import host_state
from tests.unit.test_data_disks import WORK, Site
from tests.unit.test_drift import CDROM, CONTENT, HARDWARE, LIVE, WAYS, swap
from tests.unit.test_reset import School

# ---- the machine in which the next version of a template is made


class Maintained(School):
    """A template whose next version is being made; its machine was changed."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.told = list[Event]()
        self.context = replace(self.context, emit=self.told.append)
        made = maintenance.begin(self.context, "t")
        self.storage.write("t.v2.vda", 0, b"teacher!")
        self.uuid = made.domain_uuid
        if way not in LIVE:
            self.compute.kill(self.uuid)
        if way in ("saved RAM", "a snapshot"):
            self.compute.happen_to(self.uuid, ram=way == "saved RAM", snapshot=way == "a snapshot")
        else:
            self.compute.change(self.uuid, {**CONTENT, **HARDWARE, **LIVE}[way], live=way in LIVE)


@pytest.mark.parametrize("way", WAYS)
def test_publish_when_the_machine_was_changed_then_nothing_is_published(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CONTENT, "another seat's disk", swap("t.v2.vda", "net-03.vda"))
    monkeypatch.setitem(CONTENT, "a disk of somebody else", swap("t.v2.vda", "mine.img"))
    host = Maintained(way)
    before = host_state(host.context.host)
    with pytest.raises(ComputeFault):
        maintenance.publish(host.context, "t")
    assert host_state(host.context.host) == before, "its disks and its machine are as they were"
    assert [one.version for one in host.context.host.observe().versions("t")] == [1]
    assert maintenance.discard(host.context, "t").version == 2


@pytest.mark.parametrize("way", HARDWARE)
def test_publish_when_hardware_was_changed_then_it_is_said(way: str) -> None:
    host = Maintained(way)
    assert maintenance.publish(host.context, "t").version == 2
    said = [str(one.facts.get("what")) for one in host.told if isinstance(one, Noted)]
    assert len(said) == 1, "that the version is made without that"
    assert host.storage.read("t.v2.vda", 0, 8) == b"teacher!"


def test_publish_when_nothing_was_changed_then_nothing_is_said() -> None:
    host = Maintained("a CD")
    host.compute.change(host.uuid, swap(CDROM.format(boot=""), ""))
    maintenance.publish(host.context, "t")
    assert not [one for one in host.told if isinstance(one, Noted)]


# ---- what leaves the host


def changed(site: Site, uuid: str, name: str) -> Iterator[str]:
    """A machine of a site, changed in each way, one after another."""
    as_made = site.compute.xml(uuid).replace('type="qcow2"', 'type="raw"', 1)
    for way in (*WAYS, *HARDWARE):
        site.compute.happen_to(uuid, ram=way == "saved RAM", snapshot=way == "a snapshot")
        edit = {**CONTENT, **HARDWARE, **LIVE}.get(way, str)
        site.compute.change(uuid, lambda _, edit=edit: edit(as_made.replace(name, "net-02.vda")))  # type: ignore[misc]
        yield way


def exported(folder: Path) -> list[bytes]:
    """What is where students and teachers wrote."""
    disks = json.loads((folder / "manifest.json").read_text())["disks"]
    return [image_read(folder / one["file"], MIB, len(WORK)) for one in disks]


def test_export_when_the_machine_of_the_next_version_was_changed_then_the_sealed_one_goes_out(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    made = maintenance.begin(site.context, "t")
    site.compute.kill(made.domain_uuid)
    write_image(made.volumes[0].path, MIB, WORK)
    for way in changed(site, made.domain_uuid, "t.v2.vda"):
        manifest = export.export_template(site.context, "t", tmp_path / way)
        assert manifest.version == 1, way
        assert exported(tmp_path / way)[0] == bytes(len(WORK)), way


def test_export_when_a_seat_was_changed_then_what_was_saved_of_it_goes_out(tmp_path: Path) -> None:
    site = Site(tmp_path)
    checkpoints.save(site.context, "net", "before", [2])
    write_image(site.seat(2).volumes[0].path, MIB, WORK)
    for way in changed(site, seat_uuid("net", 2), "net-02.vda"):
        export.export_checkpoint(site.context, "net", "before", 2, tmp_path / way)
        assert exported(tmp_path / way) == [bytes(len(WORK))], way


def test_export_when_somebody_made_the_golden_disk_writable_then_it_is_refused(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    golden = site.context.host.observe().template("t").volumes[0].path
    golden.chmod(0o644)
    with pytest.raises(NotOurs, match="sealed no more"):
        export.export_template(site.context, "t", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# ---- adopted machines


def test_status_when_an_older_version_adopted_the_machine_then_it_is_said_until_recover() -> None:
    school = School()
    volume = school.context.host.observe().classroom("net").seats[1].volumes[0]
    labels = replace(volume.labels, name="net-02")
    school.storage.set_labels({volume.uuid: labels}, school.storage.observe())
    reasons = []
    for _ in range(2):
        seats = verbs.status(school.context, "net").seats
        assert {one.verified for one in seats} == {True}
        reasons.append([one.reason for one in seats])
        recover(school.context)
    assert [str(why).partition(":")[0] for why in reasons[0]] == [
        "None", "only its disks are known, not its machine", "None", "None", "None",
    ]  # fmt: skip
    assert reasons[1] == [None] * 5
