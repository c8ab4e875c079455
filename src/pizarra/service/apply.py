"""A classroom declared in YAML: the same thing as ``create``, and idempotent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pizarra.engine.events import Noted
from pizarra.engine.machines import examine, plan_redefinition
from pizarra.errors import BadInput, PizarraError
from pizarra.model.classroom_spec import FILE_BYTES_MAX, ClassroomSpec
from pizarra.model.facts import Classroom, StorageKind
from pizarra.model.outcome import Mode, Outcome, Report, SeatOutcome, outcomes_for
from pizarra.model.policy import WEIGHT_USUAL, After, AfterBoot, ChangedHardware, Policy, ResetBy
from pizarra.model.sentence import N_, Sentence
from pizarra.model.sizes import parse_size, size_text
from pizarra.planner.drift import redefine_fault
from pizarra.planner.host_facts import HostFacts
from pizarra.planner.provision import check_new, check_template, record_of
from pizarra.service import classrooms, creation, upgrade
from pizarra.service.claims import check_may_reset
from pizarra.service.context import Context
from pizarra.service.limits import check_limits, check_policy
from pizarra.service.strict_yaml import load_yaml
from pizarra.storage.registry import is_known, kinds
from pizarra.system.text_files import read_text_file

Word = TypeVar("Word", bound=StrEnum)


class Declared(BaseModel):
    """The file. Types are strict, so that ``seats: "twelve"`` is an error that names the field."""

    model_config = ConfigDict(extra="forbid", strict=True)

    classroom: str = Field(description="its name")
    template: str = Field(description="the golden machine that its seats are made of")
    seats: int = Field(description="how many: 1 to 999")
    version: int | None = Field(None, description="of the template; the newest")
    memory: str = Field("2G", description="of each machine, at most: `512M`, `2G`")
    vcpus: int = Field(2, description="processors of each machine")
    network: str = Field(
        "isolated",
        description="`isolated`: a network of its own, no seat reaches another, no way out; "
        "`nat`: the same with a way out; `bridge=NAME`: the host's, where only "
        "frames from seat to seat are stopped; `none`",
    )
    storage: str | None = Field(
        None, description="`lvm-thin`, `lvm-thick` or `qcow2`; where the template is"
    )
    vg: str = Field("", description="the volume group, if the template is in several")
    disk: str | None = Field(
        None, description="size of each seat's first disk, at most; the template's"
    )
    identify: bool = Field(
        False,
        description="each machine has a host name, machine id and keys of its own, as by "
        "`classroom identify`; a seat that has none yet begins anew for it",
    )
    warm: bool = Field(
        False,
        description="each machine has a warm baseline, as by `classroom warm`; a seat that has "
        "none yet begins anew for it",
    )
    after_reset: str = Field(
        "as found",
        description="what a machine does after a reset: `as found`, `running` or `off`",
    )
    modes: list[str] = Field(
        [str(mode) for mode in Mode], description="the modes that a reset may have"
    )
    reset_by: str = Field(
        "students",
        description="who may reset from the pages and the API: `students` (their own seat, and "
        "their teachers), `teachers` or `technicians`",
    )
    undo_hours: int | None = Field(
        None, description="how long a reset can be undone, 0 keeps nothing; as the host is set"
    )
    minutes: int = Field(
        0, description="how long a lesson lasts from its first start, which students see; no limit"
    )
    changed_hardware: str = Field(
        "keep",
        description="what a reset, and a change of the classroom, does with memory, network "
        "cards, CDs that somebody gave a machine: `keep` or `reset`",
    )
    growth: str | None = Field(
        None,
        description="how much a machine may write over its original, at least `1M`; a machine "
        "that wrote more is paused; no limit",
    )
    weight: int = Field(
        WEIGHT_USUAL,
        description="how much of processors and disks each machine gets beside the machines of "
        "other classrooms, when there is not enough: 10 to 1000",
    )
    nested: bool = Field(
        False, description="whether machines may run machines of their own (nested virtualisation)"
    )
    after_boot: str = Field(
        "off",
        description="which machines are started when the host has booted: `off` (none), "
        "`as-before` (those that ran before) or `running` (all); only machines that "
        "`pizarra recover` finds whole, and no undo is dropped for their space",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyPlan:
    """What would change, in words and in values."""

    spec: ClassroomSpec
    present: Classroom | None
    lines: tuple[str, ...]
    kept: tuple[str, ...] = ()  # of machines that somebody changed, what apply leaves so

    @property
    def asks(self) -> bool:
        """Whether the plan changes a classroom that exists, so that a terminal asks first."""
        return self.present is not None and bool(self.lines)

    def to_json(self) -> dict[str, Any]:
        """For ``--dry-run --json``."""
        return {"classroom": self.spec.name, "verb": "apply", "dry_run": True,
                "changes": list(self.lines), "kept": list(self.kept)}  # fmt: skip


def read_spec(path: Path) -> ClassroomSpec:
    """Raises BadInput naming the file and the field."""
    return parse_spec(read_text_file(path), str(path))


def parse_spec(text: str, path: str) -> ClassroomSpec:
    """Parse the text of a classroom's file. Errors call the file ``path``. Raises BadInput."""
    if len(text) > FILE_BYTES_MAX:
        raise BadInput("{path} is too large for a classroom file.", path=path)
    return _spec(path, load_yaml(text, path))


def _spec(path: str, raw: object) -> ClassroomSpec:
    if not isinstance(raw, dict):
        raise BadInput(
            "{path} does not declare a classroom.",
            "Write lines such as: classroom: net, template: debian, seats: 12",
            path=path,
        )
    try:
        told = Declared.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise BadInput(
            "{path}: {field}: {why}.", path=path, field=field, why=first["msg"]
        ) from None
    return ClassroomSpec(
        name=told.classroom,
        template=told.template,
        seats=told.seats,
        version=told.version or 0,
        memory_bytes=parse_size(told.memory),
        vcpus=told.vcpus,
        network=told.network,
        storage=_storage(path, told.storage) if told.storage else None,
        vg=told.vg,
        disk_bytes=parse_size(told.disk) if told.disk else None,
        identify=told.identify,
        warm=told.warm,
        policy=Policy(
            after_reset=_one_of(After, path, "after_reset", told.after_reset),
            modes=tuple(_one_of(Mode, path, "modes", one) for one in dict.fromkeys(told.modes)),
            reset_by=_one_of(ResetBy, path, "reset_by", told.reset_by),
            undo_hours=told.undo_hours,
            minutes=told.minutes,
            changed_hardware=_one_of(
                ChangedHardware, path, "changed_hardware", told.changed_hardware
            ),
            growth_bytes=parse_size(told.growth) if told.growth else None,
            weight=told.weight,
            nested=told.nested,
            after_boot=_one_of(AfterBoot, path, "after_boot", told.after_boot),
        ),
    )


def _storage(path: str, text: str) -> StorageKind:
    if is_known(text):
        return text
    raise BadInput(
        "{path}: {field}: {text!r} is not one.",
        "Choose {those}.",
        path=path,
        field="storage",
        text=text,
        those=", ".join(kinds()),
    )


def _one_of(kind: type[Word], path: str, field: str, text: str) -> Word:
    try:
        return kind(text)
    except ValueError:
        raise BadInput(
            "{path}: {field}: {text!r} is not one.",
            "Choose {those}.",
            path=path,
            field=field,
            text=text,
            those=", ".join(kind),
        ) from None


def plan(context: Context, spec: ClassroomSpec) -> ApplyPlan:
    """Compare the wish with what there is. Raises BadInput for a change that is not possible in
    place."""
    facts = context.host.observe()
    present = facts.classrooms.get(spec.name)
    check_limits(context, spec, present)
    if present is None and context.classroom_id:
        facts.classroom(spec.name)  # one that is there was meant, and has gone
    if present is None:
        check_new(facts, spec)
        template = facts.template(spec.template, spec.storage, spec.vg, spec.version)
        check_template(template, spec, context.host.storages.capabilities)
        creation.check_possible(context, template, spec)
        return ApplyPlan(
            spec=spec,
            present=None,
            lines=(Sentence("+ {n} seats: {name}", n=spec.seats, name=spec.name),),
        )
    is_now = classrooms.spec_of(present)
    _check_fixed(spec, is_now)
    check_policy(context, spec.policy, is_now.policy)
    if spec.seats < len(present.seats):
        check_may_reset(context, present.seats)
    version = spec.version or is_now.version
    template = facts.template(is_now.template, is_now.storage, is_now.vg, version)
    creation.check_possible(context, template, spec)
    going, kept = _changed_machines(context, spec, present)
    lines = [*_differences(spec, is_now, present), *going, *_wish(facts, spec)]
    if present.record_fault:
        lines.insert(0, Sentence("~ the record of {name} is written again", name=spec.name))
    return ApplyPlan(spec=spec, present=present, lines=tuple(lines), kept=tuple(kept))


def _changed_machines(
    context: Context, spec: ClassroomSpec, present: Classroom
) -> tuple[list[str], list[str]]:
    """Of machines that somebody changed, what goes, and what stays."""
    record = record_of(spec, present.record.version, present.record.id)
    going, kept = list[str](), list[str]()
    for seat in examine(context.host, present.seats, redefine_fault):
        if seat.fault:
            kept.append(Sentence("{name} is left alone: {why}", name=seat.name, why=seat.fault))
            continue
        stays, goes = plan_redefinition(context.host, seat, replace(seat, record=record))
        if stays:
            kept.append(Sentence("{name}: {what}", name=seat.name, what=stays))
        if goes:
            going.append(Sentence("~ {name}: {what}: goes", name=seat.name, what=goes))
    return going, kept


def _check_fixed(spec: ClassroomSpec, is_now: ClassroomSpec) -> None:
    wished = {"template": spec.template, "storage": spec.storage, "vg": spec.vg}
    present = {"template": is_now.template, "storage": is_now.storage, "vg": is_now.vg}
    for field, wish in wished.items():
        if wish and wish != present[field]:
            raise BadInput(
                "The classroom {name} has {field} {present}; that cannot become {wish} in place.",
                "Make another classroom with it, or delete this one first.",
                name=spec.name,
                field=field,
                present=str(present[field]),
                wish=str(wish),
            )


def _differences(spec: ClassroomSpec, is_now: ClassroomSpec, present: Classroom) -> list[str]:
    size_bytes = present.seats[0].volumes[0].size_bytes
    changes = (
        ("version", _versions(present), str(spec.version) if spec.version else _versions(present)),
        ("seats", str(is_now.seats), str(spec.seats)),
        ("memory", size_text(is_now.memory_bytes), size_text(spec.memory_bytes)),
        ("vcpus", str(is_now.vcpus), str(spec.vcpus)),
        ("network", is_now.network, spec.network),
        ("disk", size_text(size_bytes), size_text(spec.disk_bytes or size_bytes)),
        *_policy_differences(is_now.policy, spec.policy),
    )
    return [f"~ {what}: {was} -> {wish}" for what, was, wish in changes if was != wish]


def _wish(facts: HostFacts, spec: ClassroomSpec) -> Iterator[str]:
    seats = len(facts.classroom(spec.name).seats)
    for what, numbers in creation.missing_parts(facts, spec).items():
        if numbers:
            text = N_("~ {what}: {n} of {all} have none; what is on them goes, as by a reset")
            yield Sentence(text, what=what, n=len(numbers), all=seats)


def _policy_differences(is_now: Policy, wish: Policy) -> Iterator[tuple[str, str, str]]:
    present, wished = classrooms.policy_json(is_now), classrooms.policy_json(wish)
    for key, value in present.items():
        yield key, _display(value), _display(wished[key])


def _display(value: object) -> str:
    if value is None:
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _versions(classroom: Classroom) -> str:
    return ", ".join(str(one) for one in sorted({seat.labels.version for seat in classroom.seats}))


def carry_out(context: Context, plan: ApplyPlan) -> Report:
    """Make the classroom, or change it as the plan says."""
    began = time.perf_counter()
    spec, present = plan.spec, plan.present
    if present is None:
        return replace(creation.create(context, spec), verb="apply")
    if not plan.lines:
        numbers = [seat.number for seat in present.seats]
        seats = outcomes_for(spec.name, numbers, Outcome.UNCHANGED, N_("it is as declared"))
    else:
        seats = _change(context, spec, present)
    return Report(
        classroom=spec.name,
        verb="apply",
        mode=None,
        elapsed_s=time.perf_counter() - began,
        seats=seats,
    )


def _change(context: Context, spec: ClassroomSpec, present: Classroom) -> tuple[Any, ...]:
    """Change a classroom step by step. When a step fails, the steps before it stay done. The error
    says so, because a repeated command goes on there."""
    try:
        return _change_in_steps(context, spec, present)
    except PizarraError:
        text = N_(
            "{name} may be changed in part: what is done stays. When the fault is mended, repeat:"
            " pizarra classroom apply FILE"
        )
        context.emit(Noted(text=text, facts={"name": spec.name}))
        raise


def _change_in_steps(
    context: Context, spec: ClassroomSpec, present: Classroom
) -> tuple[SeatOutcome, ...]:
    """Machines first, so that seats added afterwards are made as declared."""
    outcomes = classrooms.change_machines(context, spec)
    if spec.version and str(spec.version) != _versions(present):
        moved = upgrade.upgrade(context, spec.name, version=spec.version).seats
        outcomes = tuple({one.seat: one for one in (*outcomes, *moved)}.values())
    size_bytes = present.seats[0].volumes[0].size_bytes
    disk = spec.disk_bytes if spec.disk_bytes and spec.disk_bytes != size_bytes else None
    seats = spec.seats if spec.seats != len(present.seats) else None
    if disk is not None or seats is not None:
        resized = classrooms.resize(context, spec.name, seats=seats, disk_bytes=disk).seats
        outcomes = (*outcomes, *resized)
    if spec.identify or spec.warm:
        outcomes = (*outcomes, *creation.complete(context, spec))
    last = {one.seat: one for one in outcomes}
    return tuple(last.values())
