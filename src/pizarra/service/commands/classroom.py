"""classroom create, apply, list, show, resize, upgrade, warm, identify, swap-data, delete."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from pizarra.errors import BadInput
from pizarra.model.classroom_spec import FILE_BYTES_MAX, VERSION_MAX, ClassroomSpec
from pizarra.model.names import SEATS_MAX
from pizarra.model.sizes import MIB, parse_size
from pizarra.service.commands.arguments import (
    ClassroomName,
    NoArguments,
    OfClassroom,
    OfSeats,
    SizeText,
    Storage,
    TemplateName,
    Version,
    VolumeGroup,
)
from pizarra.service.commands.declaration import (
    Arguments,
    Document,
    Effect,
    Scope,
    Who,
    command,
)
from pizarra.service.context import Context

_ONE = "/classrooms/{classroom}"
PasswordHash = Annotated[
    str,
    Field(
        max_length=256,
        description="The account's password, as crypt(3) has it.",
        json_schema_extra={"writeOnly": True},
    ),
]


class Create(OfClassroom):
    """A classroom that is to be made."""

    template: TemplateName
    seats: int = Field(
        description="How many seats.", json_schema_extra={"minimum": 1, "maximum": SEATS_MAX}
    )
    version: Version = 0
    memory_mib: int = Field(2048, description="Memory of each machine, in MiB.")
    vcpus: int = Field(2, description="Processors of each machine.")
    network: str = Field("isolated", max_length=40, description="isolated, nat, none, bridge=NAME.")
    disk: SizeText = Field("", description="A larger disk than the template's.")
    storage: Storage = Field(None, description="Where the template's disks are.")
    vg: VolumeGroup = ""
    identify: bool = Field(False, description="Then do as `pizarra classroom identify`.")
    warm: bool = Field(False, description="Then do as `pizarra classroom warm`.")
    user: str = Field("", max_length=64, description="An account to be made on each machine.")
    password_hash: PasswordHash = ""
    title: str = Field("", max_length=80, description="What its pages call the classroom.")

    @model_validator(mode="after")
    def _check(self) -> Create:
        """Raises BadInput in the words of the part that cannot be."""
        _ = self.spec
        if self.user and not self.identify:
            raise BadInput("An account is made with an identity only.", "Add --identify.")
        return self

    @property
    def spec(self) -> ClassroomSpec:
        """Raises BadInput."""
        return ClassroomSpec(
            name=self.classroom,
            template=self.template,
            seats=self.seats,
            version=self.version,
            memory_bytes=self.memory_mib * MIB,
            vcpus=self.vcpus,
            network=self.network,
            storage=self.storage,
            vg=self.vg,
            disk_bytes=parse_size(self.disk) if self.disk else None,
            identify=self.identify,
            warm=self.warm,
        )


@command(
    "classroom create",
    who=Who.TEACHER,
    scope=Scope.MANAGE,
    route="POST /classrooms",
    effects=(Effect.RUNS_AS_JOB, Effect.ADDS_CLASSROOM),
)
def create(context: Context, wish: Create) -> Document:
    """Make a classroom.

    Example: pizarra classroom create net --template debian --seats 12 --memory 2G
    """
    from pizarra.planner.identity import Person
    from pizarra.service import creation

    person = Person(user=wish.user, password_hash=wish.password_hash)
    return creation.create(context, wish.spec, person, context.classroom_id).to_json()


class Apply(OfClassroom):
    """A classroom's file."""

    file: str = Field(max_length=FILE_BYTES_MAX, description="The classroom in YAML.")
    file_name: str = Field("the file", max_length=400, description="What errors call the file.")

    @property
    def spec(self) -> ClassroomSpec:
        """Raises BadInput naming the field that is wrong."""

        from pizarra.service import apply as declared

        spec = declared.parse_spec(self.file, self.file_name)
        if spec.name != self.classroom:
            raise BadInput(
                "{path} declares the classroom {name}, not {wished}.",
                path=self.file_name,
                name=spec.name,
                wished=self.classroom,
            )
        return spec


def _plan_apply(context: Context, wish: Apply) -> Document:
    from pizarra.service import apply as declared

    plan = declared.plan(context, wish.spec)
    return {**plan.to_json(), "exists": plan.present is not None}


@command(
    "classroom apply",
    who=Who.TEACHER,
    scope=Scope.MANAGE,
    route="PUT " + _ONE,
    effects=(Effect.RUNS_AS_JOB, Effect.DESTROYS),
    plan=_plan_apply,
    plan_route=f"POST {_ONE}/changes",
)
def apply(context: Context, wish: Apply) -> Document:
    """Make a classroom as a file declares it, or change it to that. Twice changes nothing.

    Example: pizarra classroom apply net.yaml
    """
    from pizarra.service import apply as declared

    return declared.carry_out(context, declared.plan(context, wish.spec)).to_json()


@command("classroom list", who=Who.STUDENT, scope=Scope.READ, route="GET /classrooms")
def list_(context: Context, wish: NoArguments) -> Document:
    """All classrooms of this host.

    Example: pizarra classroom list
    """
    from pizarra.service import classrooms

    _ = wish
    return [classrooms.classroom_json(one) for one in classrooms.list_classrooms(context)]


@command("classroom show", who=Who.TEACHER, scope=Scope.READ, route=f"GET {_ONE}/description")
def show(context: Context, wish: OfClassroom) -> Document:
    """One classroom: what it is made of, and the address of each seat.

    Example: pizarra classroom show net
    """
    from pizarra.service import classrooms

    return classrooms.show(context, wish.classroom)


class Resize(OfClassroom):
    """How many seats, or how large a disk."""

    seats: int | None = Field(None, description="How many seats it shall have.")
    disk: SizeText = Field("", description="How large every seat's disk shall be.")
    with_data: bool = Field(False, description="Remove the data disks of its seats too.")

    @model_validator(mode="after")
    def _check(self) -> Resize:
        if self.seats is None and not self.disk:
            raise BadInput("Nothing is to be changed.", "Say --seats N or --disk SIZE.")
        return self


@command(
    "classroom resize",
    who=Who.TEACHER,
    scope=Scope.MANAGE,
    route=f"POST {_ONE}/resize",
    effects=(Effect.RUNS_AS_JOB, Effect.DESTROYS),
)
def resize(context: Context, wish: Resize) -> Document:
    """Add or remove seats (those with the highest numbers go), or grow the disks.

    Example: pizarra classroom resize net --seats 16 --disk 30G
    """
    from pizarra.service import classrooms

    return classrooms.resize(
        context,
        wish.classroom,
        seats=wish.seats,
        disk_bytes=parse_size(wish.disk) if wish.disk else None,
        with_data=wish.with_data,
    ).to_json()


class Upgrade(OfSeats):
    """Which seats, and to which version."""

    version: int = Field(
        0, ge=0, le=VERSION_MAX, description="The version; 0 is the newest. It may be an older one."
    )


def _plan_upgrade(context: Context, wish: Upgrade) -> Document:
    from pizarra.service import upgrade as upgrades

    now = upgrades.at_once(context, wish.classroom)
    when = "now" if now else "at the next reset"
    return {"classroom": wish.classroom, "verb": "upgrade", "dry_run": True, "when": when}


@command(
    "classroom upgrade",
    who=Who.TEACHER,
    scope=Scope.MANAGE,
    route=f"POST {_ONE}/upgrade",
    effects=(Effect.RUNS_AS_JOB, Effect.DESTROYS),
    plan=_plan_upgrade,
    plan_route=f"GET {_ONE}/upgrade",
)
def upgrade(context: Context, wish: Upgrade) -> Document:
    """Move machines to another version of their template, at their next reset.

    On lvm-thick they move at once, while they are off, and what is on them is lost.

    Example: pizarra classroom upgrade net --to 2
    """
    from pizarra.service import upgrade as upgrades

    numbers = wish.numbers
    return upgrades.upgrade(context, wish.classroom, numbers, version=wish.version).to_json()


class Warm(OfSeats):
    """Which seats, and how long they may take to boot."""

    settle: float | None = Field(
        None, ge=0, le=7200, description="Seconds at most to boot in; 120 without it."
    )


@command(
    "classroom warm",
    who=Who.TEACHER,
    scope=Scope.MANAGE,
    route=f"POST {_ONE}/warm",
    effects=(Effect.RUNS_AS_JOB, Effect.DESTROYS, Effect.RELEASES_CONSOLES),
)
def warm(context: Context, wish: Warm) -> Document:
    """Boot each machine once from its original and keep it so, with its RAM.

    `pizarra reset --mode warm` then gives machines that have booted already.

    Example: pizarra classroom warm net --settle 90
    """
    from pizarra.service import warm as warming

    settle_s = warming.SETTLE_S if wish.settle is None else wish.settle
    return warming.warm(context, wish.classroom, wish.numbers, settle_s=settle_s).to_json()


class Identify(OfSeats):
    """Which seats, and which account each gets."""

    user: str = Field("", max_length=64, description="An account to be made on each machine.")
    password_hash: PasswordHash = ""
    limit: float | None = Field(
        None, ge=0, le=7200, description="Seconds at most that a machine may take."
    )


@command(
    "classroom identify",
    who=Who.TEACHER,
    scope=Scope.MANAGE,
    route=f"POST {_ONE}/identify",
    effects=(Effect.RUNS_AS_JOB, Effect.DESTROYS, Effect.RELEASES_CONSOLES),
)
def identify(context: Context, wish: Identify) -> Document:
    """Give each machine its own name, machine id and SSH keys, which every reset brings back.

    By cloud-init where the guest has it, or its agent, in one boot; a Linux on ext4 without either
    has it written to its disk while it is off.

    Example: pizarra classroom identify net --user student --password-file secret.txt
    """
    from pizarra.planner.identity import Person
    from pizarra.service import identity as identities

    person = Person(user=wish.user, password_hash=wish.password_hash)
    limit_s = identities.LIMIT_S if wish.limit is None else wish.limit
    return identities.identify(
        context, wish.classroom, wish.numbers, person=person, limit_s=limit_s
    ).to_json()


class SwapData(OfClassroom):
    """Two seats."""

    one: int = Field(ge=1, le=SEATS_MAX, description="A seat's number.")
    other: int = Field(ge=1, le=SEATS_MAX, description="Another's.")


@command(
    "classroom swap-data",
    who=Who.TEACHER,
    scope=Scope.MANAGE,
    route=f"POST {_ONE}/swap-data",
    effects=(Effect.RUNS_AS_JOB,),
)
def swap_data(context: Context, wish: SwapData) -> Document:
    """Exchange the data disks of two machines that are off, as when students change places.

    Example: pizarra classroom swap-data net 3 7
    """
    from pizarra.service import data_disks

    return data_disks.swap(context, wish.classroom, wish.one, wish.other).to_json()


class Delete(Arguments):
    """A classroom that is to go."""

    classroom: ClassroomName
    with_data: bool = Field(False, description="Remove the data disks of its seats too.")


@command(
    "classroom delete",
    who=Who.TEACHER,
    scope=Scope.MANAGE,
    route="DELETE " + _ONE,
    effects=(
        Effect.RUNS_AS_JOB,
        Effect.DESTROYS,
        Effect.RELEASES_CONSOLES,
        Effect.REMOVES_CLASSROOM,
    ),
)
def delete(context: Context, wish: Delete) -> Document:
    """Remove a classroom: its machines, their disks, its network. Its template stays.

    Example: pizarra classroom delete net --yes
    """
    from pizarra.service import classrooms

    return classrooms.delete(context, wish.classroom, with_data=wish.with_data).to_json()
