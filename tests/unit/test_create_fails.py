"""A classroom that cannot be made whole is not made at all, whichever step it fails at."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pizarra.compute.memory import MemoryCompute
from pizarra.compute.network_xml import network_name
from pizarra.engine.events import Event, Noted
from pizarra.engine.host import Host, RealStorages
from pizarra.errors import AlreadyExists, ComputeFault, NotFound, NotOurs, PizarraError
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.facts import Power
from pizarra.model.names import seat_uuid
from pizarra.model.outcome import Outcome
from pizarra.model.sizes import MIB
from pizarra.service import apply, classrooms, templates
from pizarra.service.context import Context
from pizarra.settings import Settings
from pizarra.storage.kinds import Kind
from tests.contract.compute_bench import FOREIGN
from tests.fixtures.host_state import HostState, host_state

THEIRS = "c0ffee00-0000-4000-8000-000000000001"
SPEC = ClassroomSpec(name="net", template="t", seats=4, memory_bytes=64 * MIB)
REFUSED = ComputeFault("libvirt does not want to")


class School:
    """Files for disks, machines in memory, and a template."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(folder=folder, at_once=2)
        self.compute = MemoryCompute()
        self.told: list[Event] = []
        host = Host(settings, self.compute, RealStorages(settings))
        self.context = Context(host, self.told.append)

    def host_state(self) -> HostState:
        return host_state(self.context.host)

    def notes(self) -> list[str]:
        return [str(event) for event in self.told if isinstance(event, Noted)]


@pytest.fixture
def school(tmp_path: Path) -> School:
    image = tmp_path / "image.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "8M"], check=True)
    made = School(tmp_path / "disks")
    sources = templates.source_of_file(image)
    templates.import_template(made.context, "t", sources, kind=Kind.QCOW2)
    made.told.clear()
    return made


def not_made(school: School, error: type[PizarraError], spec: ClassroomSpec = SPEC) -> None:
    before = school.host_state()
    with pytest.raises(error):
        classrooms.create(school.context, spec)
    assert school.host_state() == before
    assert school.notes() == []


@pytest.mark.parametrize("number", [1, 3, 4])
def test_create_when_a_machine_cannot_be_defined_then_nothing_is_left(
    school: School, number: int
) -> None:
    school.compute.fail_at("define", seat_uuid("net", number), REFUSED)
    not_made(school, ComputeFault)
    assert classrooms.create(school.context, SPEC).exit_status == 0  # and the next try works


def test_create_when_the_network_cannot_be_made_then_nothing_is_left(school: School) -> None:
    school.compute.fail_at("define_network", None, REFUSED)
    not_made(school, ComputeFault)


def test_create_when_another_network_has_its_name_then_only_that_one_is_left(
    school: School,
) -> None:
    school.compute.put_network(network_name("net"), THEIRS, "10.9.8.1/24")
    not_made(school, NotOurs)


def test_create_when_another_machine_has_a_name_of_it_then_only_that_one_is_left(
    school: School,
) -> None:
    school.compute.put(FOREIGN.format(name="net-03", uuid=THEIRS))
    not_made(school, NotOurs)


def test_create_when_another_machine_has_a_uuid_of_it_then_both_are_there(school: School) -> None:
    theirs = FOREIGN.format(name="theirs", uuid=seat_uuid("net", 3))
    school.compute.put(theirs)
    assert classrooms.create(school.context, SPEC).exit_status == 0
    assert school.compute.xml(seat_uuid("net", 3)) == theirs
    seats = school.context.host.observe().classroom("net").seats
    assert {seat.power for seat in seats} == {Power.OFF}


def test_create_when_another_file_has_a_name_of_it_then_only_that_one_is_left(
    school: School,
) -> None:
    theirs = Path(school.context.host.settings.folder) / "seats" / "net-03.vda.qcow2"
    theirs.parent.mkdir(parents=True, exist_ok=True)
    theirs.write_bytes(b"theirs")
    not_made(school, NotOurs)
    assert theirs.read_bytes() == b"theirs"


def test_create_when_there_is_no_template_or_the_classroom_then_nothing_changes(
    school: School,
) -> None:
    not_made(school, NotFound, ClassroomSpec(name="net", template="none", seats=1))
    classrooms.create(school.context, SPEC)
    not_made(school, AlreadyExists)


def test_create_when_taking_back_fails_then_the_rest_goes_and_it_is_told(school: School) -> None:
    before = school.host_state()
    school.compute.fail_at("define", seat_uuid("net", 4), REFUSED)
    school.compute.fail_at("undefine", seat_uuid("net", 1), REFUSED)
    with pytest.raises(ComputeFault):
        classrooms.create(school.context, SPEC)
    after = school.host_state()
    assert after["volumes"] == before["volumes"]
    assert after["networks"] == before["networks"]
    assert school.notes() == ["Not all was taken back: libvirt does not want to"]


def test_resize_when_a_new_machine_cannot_be_defined_then_all_is_as_before(
    school: School,
) -> None:
    classrooms.create(school.context, SPEC)
    before = school.host_state()
    school.compute.fail_at("define", seat_uuid("net", 6), REFUSED)
    with pytest.raises(ComputeFault):
        classrooms.resize(school.context, "net", seats=7)
    assert school.host_state() == before
    assert school.notes() == []


def test_delete_when_a_machine_cannot_be_removed_then_the_others_go_and_it_is_named(
    school: School,
) -> None:
    classrooms.create(school.context, SPEC)
    school.compute.fail_at("undefine", seat_uuid("net", 2), REFUSED)
    report = classrooms.delete(school.context, "net")
    assert [one.outcome for one in report.seats].count(Outcome.DONE) == 3
    assert (report.seats[1].outcome, report.exit_status) == (Outcome.FAILED, 1)
    assert [seat.name for seat in classrooms.list_classrooms(school.context)[0].seats] == ["net-02"]


def test_apply_when_a_step_is_refused_then_what_to_repeat_is_told_and_it_goes_on_there(
    school: School, tmp_path: Path
) -> None:
    assert classrooms.create(school.context, SPEC).exit_status == 0
    file = tmp_path / "net.yaml"
    file.write_text("classroom: net\ntemplate: t\nseats: 5\nmemory: 128M")
    wish = apply.read_spec(file)
    school.compute.fail_at("define", seat_uuid("net", 5), REFUSED)
    with pytest.raises(ComputeFault):
        apply.carry_out(school.context, apply.plan(school.context, wish))
    assert "repeat: pizarra classroom apply" in " ".join(school.notes())
    assert len(school.context.host.observe().classroom("net").seats) == 4
    assert apply.carry_out(school.context, apply.plan(school.context, wish)).exit_status == 0
    assert apply.plan(school.context, wish).lines == ()
