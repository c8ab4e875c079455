"""Data disks: resets, undo, checkpoints and upgrades leave them alone, and they are never lost
by the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pizarra.compute.domain_edit import disks_of
from pizarra.compute.memory import MemoryCompute
from pizarra.engine.host import Host, RealStorages
from pizarra.errors import BadInput, Unsupported
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.facts import Seat
from pizarra.model.labels import SeatLabels
from pizarra.model.names import seat_uuid
from pizarra.model.outcome import Outcome
from pizarra.model.sizes import MIB
from pizarra.service import (
    checkpoints,
    classrooms,
    export,
    recover,
    templates,
    upgrade,
    verbs,
)
from pizarra.service.context import Context
from pizarra.service.data_disks import swap
from pizarra.service.undo import undo
from pizarra.settings import Settings
from pizarra.storage.dm_snapshot.store import DmSnapshotStore
from pizarra.storage.kinds import Kind
from pizarra.storage.memory.store import Crash
from pizarra.storage.qcow2.sidecar import replace_sidecar
from tests.contract.storage_qcow2 import create_image, image_read, write_image
from tests.fixtures.kills import dies_before_text

WORK = b"a term's work" + bytes(4083)


class Site:
    """A host with files for disks, and a template with a data disk."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(folder=folder / "disks", server_folder=folder)
        self.compute = MemoryCompute()
        self.context = Context(Host(settings, self.compute, RealStorages(settings)))
        self.image = folder / "system.qcow2"
        create_image(self.image, 8 * MIB)
        self.imported()
        spec = ClassroomSpec(name="net", template="t", seats=2, memory_bytes=64 * MIB)
        classrooms.create(self.context, spec)

    def imported(self, **how: bool) -> None:
        sources = templates.with_data(
            templates.source_of_file(self.image), "16M", self.image.parent
        )
        templates.import_template(self.context, "t", sources, kind=Kind.QCOW2, **how)  # type: ignore[arg-type]

    def seat(self, number: int) -> Seat:
        return self.context.host.observe().classroom("net").seats[number - 1]

    def written(self, number: int) -> None:
        """To both of its disks."""
        seat = self.seat(number)
        for volume in seat.all_volumes:
            write_image(volume.path, MIB, WORK)

    def has_work(self, number: int) -> tuple[bool, bool]:
        """On the system's disk, on the data disk."""
        system, data = self.seat(number).all_volumes
        return tuple(image_read(one.path, MIB, len(WORK)) == WORK for one in (system, data))  # type: ignore[return-value]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_machine_when_made_then_has_both_disks_and_only_one_goes_back(site: Site) -> None:
    seat = site.seat(1)
    assert [disk.target for disk in disks_of(site.compute.xml(seat.domain_uuid))] == ["vda", "vdb"]
    site.written(1)
    report = verbs.reset(site.context, "net")
    assert [one.outcome for one in report.seats] == [Outcome.DONE, Outcome.UNCHANGED]
    assert site.has_work(1) == (False, True)
    assert verbs.verify(site.context, "net", deep=True).exit_status == 0
    assert verbs.status(site.context, "net").seats[0].verified is True


def test_undo_and_checkpoints_when_there_is_a_data_disk_then_leave_it_alone(site: Site) -> None:
    site.written(1)
    checkpoints.save(site.context, "net", "lesson", [1])
    verbs.reset(site.context, "net", [1])
    write_image(site.seat(1).all_volumes[1].path, MIB, bytes(4096))
    undo(site.context, "net", [1])
    assert site.has_work(1) == (True, False)
    verbs.reset(site.context, "net", [1])
    checkpoints.restore(site.context, "net", "lesson")
    assert site.has_work(1) == (True, False)


def test_upgrade_when_reset_then_the_data_is_still_there(site: Site) -> None:
    site.written(1)
    site.imported(new_version=True)
    upgrade.upgrade(site.context, "net", version=2)
    assert verbs.reset(site.context, "net").exit_status == 0
    assert site.has_work(1) == (False, True)
    assert recover.recover(site.context)[0].exit_status == 0
    versions = {one.version: one.seats for one in site.context.host.observe().versions("t")}
    assert versions[1] > 0, "the data stands on it"


def test_swap_when_students_change_places_then_their_data_goes_along(site: Site) -> None:
    site.written(1)
    swap(site.context, "net", 1, 2)
    assert (site.has_work(1), site.has_work(2)) == ((True, False), (False, True))
    paths = [disk.path for disk in disks_of(site.compute.xml(site.seat(2).domain_uuid))]
    assert paths == [str(one.path) for one in site.seat(2).all_volumes]
    verbs.start(site.context, "net", [1])
    with pytest.raises(BadInput, match="in use"):
        swap(site.context, "net", 1, 2)


@pytest.mark.parametrize("step", range(1, 6))
def test_swap_when_killed_in_it_then_no_machine_shows_anothers_data_and_recover_ends_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Two definitions, two labels, and a definition again; the sixth would be the last."""
    site.written(1)
    left = [step]

    def killing(act: Callable[..., None]) -> Callable[..., None]:
        def done(*given: object) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise Crash
            act(*given)

        return done

    with monkeypatch.context() as broken:
        broken.setattr(site.compute, "redefine", killing(site.compute.redefine))
        broken.setattr("pizarra.storage.qcow2.store.replace_sidecar", killing(replace_sidecar))
        with pytest.raises(Crash):
            swap(site.context, "net", 1, 2)
    for number in (1, 2):
        machine = site.compute.xml(seat_uuid("net", number))
        theirs = {str(one.path) for one in site.seat(number).all_volumes}
        assert {one.path for one in disks_of(machine)} <= theirs
    for _ in range(2):
        recover.recover(site.context)
        assert (site.has_work(1), site.has_work(2)) == ((True, False), (False, True))
        paths = [disk.path for disk in disks_of(site.compute.xml(site.seat(2).domain_uuid))]
        assert paths == [str(one.path) for one in site.seat(2).all_volumes]
    assert not list(site.context.host.journal.folder.iterdir())


def test_recover_when_the_classroom_of_a_swap_is_gone_then_nothing_is_left_of_it(
    site: Site,
) -> None:
    assert dies_before_text("memory redefine", lambda: swap(site.context, "net", 1, 2))
    classrooms.delete(site.context, "net", with_data=True)
    recover.recover(site.context)
    assert not list(site.context.host.journal.folder.iterdir())


def test_recover_when_a_version_without_a_journal_was_cut_off_then_it_ends_the_swap(
    site: Site,
) -> None:
    """Its note was a file of its own (commit ab156f6)."""
    site.written(1)
    going = {one.uuid: 2 for one in site.seat(1).data} | {one.uuid: 1 for one in site.seat(2).data}
    folder = site.context.host.settings.state_folder / "data-swaps"
    folder.mkdir()
    note = {"classroom": "net", "seats": [1, 2], "going": going}
    (folder / "net-1-2").write_text(json.dumps(note), encoding="utf-8")
    recover.recover(site.context)
    assert (site.has_work(1), site.has_work(2)) == ((True, False), (False, True))
    assert not list(folder.iterdir())


def test_delete_when_data_would_be_lost_then_must_be_told_so(site: Site) -> None:
    with pytest.raises(BadInput, match="would be lost"):
        classrooms.delete(site.context, "net")
    with pytest.raises(BadInput, match="would be lost"):
        classrooms.resize(site.context, "net", seats=1)
    assert len(site.context.host.observe().classroom("net").seats) == 2
    assert classrooms.delete(site.context, "net", with_data=True).exit_status == 0
    assert not [v for v in site.context.host.observe().volumes.values()
                if isinstance(v.labels, SeatLabels)]  # fmt: skip


def test_export_when_imported_elsewhere_then_the_data_disk_is_one(
    site: Site, tmp_path: Path
) -> None:
    export.export_template(site.context, "t", tmp_path / "usb")
    sources, _ = export.sources_of_manifest(site.context, tmp_path / "usb")
    assert [one.persistent for one in sources] == [False, True]


def test_import_when_the_storage_keeps_classic_stores_then_refused(tmp_path: Path) -> None:
    image = tmp_path / "system.qcow2"
    create_image(image, 8 * MIB)
    sources = templates.with_data(templates.source_of_file(image), "16M", tmp_path)
    with pytest.raises(Unsupported):
        templates._check_data(DmSnapshotStore("vg"), sources)


def test_import_when_the_first_disk_shall_be_data_then_refused(site: Site) -> None:
    sources = templates.with_data(templates.source_of_file(site.image), "vda", site.image.parent)
    with pytest.raises(BadInput, match="goes back"):
        templates.import_template(site.context, "other", sources, kind=Kind.QCOW2)
