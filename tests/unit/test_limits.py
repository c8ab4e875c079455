"""What a teacher may ask of a host, and which classroom of a name is meant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pizarra.errors import Forbidden, NotFound
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.policy import ResetBy
from pizarra.model.sizes import GIB, MIB, TIB
from pizarra.service import apply, checkpoints, classrooms, creation, verbs
from pizarra.service.context import Context
from pizarra.service.identity import identify
from pizarra.service.undo import undo
from pizarra.storage.kinds import Kind
from tests.unit.test_reset import School

SPEC = ClassroomSpec(name="new", template="t", seats=2, memory_bytes=64 * MIB, storage=Kind.MEMORY)
TOO_MUCH: tuple[dict[str, Any], ...] = (
    {"network": "bridge=br0"},
    {"network": "bridge=pz-net"},
    {"seats": 41},
    {"vcpus": 5},
    {"memory_bytes": 9 * GIB},
    {"disk_bytes": TIB},
)


def asked_by(school: School, by: ResetBy) -> Context:
    return replace(school.context, by=by)


@pytest.mark.parametrize("more", TOO_MUCH, ids=str)
def test_create_when_a_teacher_asks_for_too_much_then_forbidden_and_nothing_is_made(
    more: dict[str, Any],
) -> None:
    school = School()
    spec = replace(SPEC, **more)
    for by in (ResetBy.STUDENTS, ResetBy.TEACHERS):
        with pytest.raises(Forbidden):
            creation.create(asked_by(school, by), spec)
        with pytest.raises(Forbidden):
            apply.plan(asked_by(school, by), spec)
    assert set(school.context.host.observe().classrooms) == {"net"}


def test_create_when_a_bridge_is_in_the_list_then_a_teacher_may_use_it() -> None:
    school = School()
    school.context.host.settings = school.context.host.settings.model_copy(
        update={"teacher_bridges": ["br0"]}
    )
    spec = replace(SPEC, network="bridge=br0")
    assert creation.create(asked_by(school, ResetBy.TEACHERS), spec).exit_status == 0


def test_network_of_a_classroom_when_named_as_a_bridge_then_forbidden_also_to_root() -> None:
    with pytest.raises(Forbidden, match="own network"):
        creation.create(School().context, replace(SPEC, network="bridge=pz-net"))


def test_create_when_root_or_a_technician_asks_then_no_limit_of_teachers_holds() -> None:
    school = School()
    for number, context in enumerate((school.context, asked_by(school, ResetBy.TECHNICIANS))):
        spec = replace(SPEC, name=f"big-{number}", vcpus=8, network="bridge=br0")
        assert creation.create(context, spec).exit_status == 0


def test_resize_when_a_teacher_asks_for_too_much_then_forbidden() -> None:
    school = School()
    teacher = asked_by(school, ResetBy.TEACHERS)
    with pytest.raises(Forbidden):
        classrooms.resize(teacher, "net", seats=900)
    with pytest.raises(Forbidden):
        classrooms.resize(teacher, "net", disk_bytes=TIB)
    assert len(school.context.host.observe().classroom("net").seats) == 5


def test_classroom_when_it_is_larger_already_then_a_teacher_changes_the_rest(
    tmp_path: Path,
) -> None:
    school = School()
    file = tmp_path / "big.yaml"
    lines = ("classroom: big", "template: t", "seats: 2", "memory: 64M", "vcpus: 8",
             "storage: memory", "network: bridge=br0")  # fmt: skip
    file.write_text("\n".join(lines))
    spec = apply.read_spec(file)
    apply.carry_out(school.context, apply.plan(school.context, spec))
    teacher, wish = asked_by(school, ResetBy.TEACHERS), replace(spec, seats=3)
    assert apply.carry_out(teacher, apply.plan(teacher, wish)).exit_status == 0


def test_reset_by_when_left_to_technicians_then_no_other_verb_goes_around_it(
    tmp_path: Path,
) -> None:
    school = School()
    checkpoints.save(school.context, "net", "own-1", [1])
    verbs.reset(school.context, "net")
    school.dirty(1)
    file = tmp_path / "net.yaml"
    usual = "classroom: net\ntemplate: t\nseats: 5\nmemory: 64M\nstorage: memory\nreset_by: "
    file.write_text(usual + "technicians")
    strict = apply.read_spec(file)
    apply.carry_out(school.context, apply.plan(school.context, strict))
    teacher = asked_by(school, ResetBy.TEACHERS)
    acts: tuple[Callable[[], object], ...] = (
        lambda: verbs.reset(teacher, "net", [1]),
        lambda: checkpoints.restore(teacher, "net", "own-1", [1]),
        lambda: checkpoints.hand_out(teacher, "net", "own-1", 1, [2]),
        lambda: undo(teacher, "net", [1]),
        lambda: identify(teacher, "net", [1]),
    )
    for act in acts:
        with pytest.raises(Forbidden, match="leaves resets"):
            act()
    file.write_text(usual + "students")
    with pytest.raises(Forbidden, match="leaves resets"):
        apply.plan(teacher, apply.read_spec(file))
    assert school.content(1) != b"original"


# ---- which classroom of a name


def test_classroom_when_another_has_its_name_then_whoever_meant_the_first_finds_none() -> None:
    school = School()
    host = school.context.host
    was = host.observe().classroom("net").record.id
    assert host.meaning("net", was).observe().classroom("net").record.id == was
    classrooms.delete(school.context, "net")
    creation.create(school.context, replace(SPEC, name="net"))
    now = host.observe().classroom("net").record.id
    assert now not in ("", was)
    meant = replace(school.context, host=host.meaning("net", was))
    with pytest.raises(NotFound, match="another one"):
        verbs.reset(meant, "net")
    with pytest.raises(NotFound, match="another one"):
        classrooms.delete(meant, "net")
    assert host.observe().classroom("net").record.id == now


def test_id_when_a_classroom_changes_then_it_stays(tmp_path: Path) -> None:
    school = School()

    def record_id() -> str:
        return school.context.host.observe().classroom("net").record.id

    was = record_id()
    file = tmp_path / "net.yaml"
    file.write_text("classroom: net\ntemplate: t\nseats: 6\nmemory: 128M\nstorage: memory\n")
    spec = apply.read_spec(file)
    apply.carry_out(school.context, apply.plan(school.context, spec))
    classrooms.resize(school.context, "net", seats=3)
    assert record_id() == was


def test_apply_when_the_classroom_that_is_meant_has_gone_then_no_new_one_gets_its_id() -> None:
    school = School()
    meant = replace(school.context, classroom_id="the-old-one", by=ResetBy.TEACHERS)
    with pytest.raises(NotFound):
        apply.plan(meant, SPEC)


def test_apply_when_the_policy_changed_while_it_waited_then_the_new_one_holds(
    tmp_path: Path,
) -> None:
    """A teacher's job was planned, and waits for the classroom; a technician is faster."""
    school, file = School(), tmp_path / "net.yaml"
    usual = "classroom: net\ntemplate: t\nseats: 5\nmemory: 64M\nstorage: memory\n"
    file.write_text(f"{usual}minutes: 45\n")
    teacher = replace(school.context, by=ResetBy.TEACHERS)
    planned = apply.plan(teacher, apply.read_spec(file))
    file.write_text(f"{usual}reset_by: technicians\n")
    apply.carry_out(school.context, apply.plan(school.context, apply.read_spec(file)))
    with pytest.raises(Forbidden):
        apply.carry_out(teacher, planned)
    (room,) = classrooms.list_classrooms(school.context)
    assert room.record.policy.reset_by is ResetBy.TECHNICIANS
