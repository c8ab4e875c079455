"""A storage backend that is not part of Pizarra holds a classroom, with no line changed for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pizarra.compute.memory import MemoryCompute
from pizarra.engine.host import Host, RealStorages
from pizarra.errors import Unsupported
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.outcome import Outcome, Report
from pizarra.model.policy import After
from pizarra.model.sizes import MIB
from pizarra.service import checkpoints, classrooms, recover, templates, upgrade, verbs
from pizarra.service.context import Context
from pizarra.service.undo import undo
from pizarra.settings import Settings
from pizarra.storage import registry
from tests.fixtures.raw_folder import RAW_FOLDER, TECHNOLOGY

TEACHER, STUDENT = b"teacher!" * 512, b"student!" * 512


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """A host that has this kind of storage, and a template on it."""
    registry.register(TECHNOLOGY)
    settings = Settings(folder=tmp_path / "disks", at_once=3)
    made = Context(Host(settings, MemoryCompute(), RealStorages(settings)))
    image = tmp_path / "golden.img"
    image.write_bytes(TEACHER + bytes(8 * MIB - len(TEACHER)))
    templates.import_template(made, "t", templates.source_of_file(image), kind=RAW_FOLDER)
    spec = ClassroomSpec(name="net", template="t", seats=3, memory_bytes=64 * MIB)
    assert classrooms.create(made, spec).exit_status == 0
    yield made
    registry.unregister(RAW_FOLDER)


def disk(context: Context, number: int) -> Path:
    seats = context.host.observe().classroom("net").seats
    return next(seat for seat in seats if seat.number == number).volumes[0].path


def work(context: Context, *numbers: int) -> None:
    for number in numbers:
        with disk(context, number).open("r+b") as file:
            file.write(STUDENT)


def start_of(context: Context, number: int) -> bytes:
    with disk(context, number).open("rb") as file:
        return file.read(len(TEACHER))


def outcomes(report: Report) -> list[Outcome]:
    return [one.outcome for one in report.seats]


def test_classroom_when_reset_then_every_seat_is_original_and_proven(context: Context) -> None:
    work(context, 1, 3)
    assert outcomes(verbs.verify(context, "net")) == [Outcome.FAILED, Outcome.DONE, Outcome.FAILED]
    report = verbs.reset(context, "net", after=After.OFF)
    assert outcomes(report) == [Outcome.DONE, Outcome.UNCHANGED, Outcome.DONE]
    assert [start_of(context, number) for number in (1, 2, 3)] == [TEACHER] * 3
    assert outcomes(verbs.verify(context, "net", deep=True)) == [Outcome.DONE] * 3
    assert recover.recover(context)[0].exit_status == 0


def test_classroom_when_its_template_has_a_new_version_then_seats_go_there(
    context: Context, tmp_path: Path
) -> None:
    image = tmp_path / "second.img"
    image.write_bytes(STUDENT + bytes(8 * MIB - len(STUDENT)))
    source = templates.source_of_file(image)
    templates.import_template(context, "t", source, kind=RAW_FOLDER, new_version=True)
    assert upgrade.upgrade(context, "net").exit_status == 0
    assert verbs.reset(context, "net", after=After.OFF).exit_status == 0
    assert start_of(context, 2) == STUDENT


def test_classroom_when_its_storage_cannot_then_says_so(context: Context) -> None:
    work(context, 1)
    verbs.reset(context, "net", [1], after=After.OFF)
    with pytest.raises(Unsupported, match=RAW_FOLDER):
        undo(context, "net", [1])
    with pytest.raises(Unsupported, match=RAW_FOLDER):
        checkpoints.save(context, "net", "lesson")


def test_classroom_when_deleted_then_nothing_is_left_of_it(context: Context) -> None:
    assert classrooms.resize(context, "net", seats=4, disk_bytes=16 * MIB).exit_status == 0
    assert classrooms.delete(context, "net").exit_status == 0
    templates.delete(context, "t")
    assert list((context.host.settings.folder / "raw").iterdir()) == []
