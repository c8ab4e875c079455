"""checkpoint save, restore, hand-out, list, delete, export."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from pizarra.model.names import SEATS_MAX
from pizarra.service.commands.arguments import CheckpointName, OfClassroom, OfSeats
from pizarra.service.commands.declaration import Document, Effect, Scope, Who, command
from pizarra.service.commands.folders import export_folder, exported
from pizarra.service.context import Context

_ALL = "/classrooms/{classroom}/checkpoints"
_ONE = _ALL + "/{checkpoint}"


class OfCheckpoint(OfSeats):
    """Which checkpoint, and of which seats."""

    checkpoint: CheckpointName


class Save(OfCheckpoint):
    """The name to save under, which seats, and whether with their RAM."""

    ram: bool = Field(False, description="With what is in the RAM of those that run.")


@command(
    "checkpoint save",
    who=Who.TEACHER,
    scope=Scope.OPERATE,
    route="POST " + _ONE,
    effects=(Effect.RUNS_AS_JOB,),
)
def save(context: Context, wish: Save) -> Document:
    """Save the present state of machines under a name. It costs only what differs.

    Machines that run stand still for a moment, or longer with --ram: each is written to a file.

    Example: pizarra checkpoint save net lesson-3 1-8
    """
    from pizarra.service import checkpoints

    return checkpoints.save(
        context, wish.classroom, wish.checkpoint, wish.numbers, ram=wish.ram
    ).to_json()


@command(
    "checkpoint restore",
    who=Who.TEACHER,
    scope=Scope.OPERATE,
    route=f"POST {_ONE}/restore",
    effects=(Effect.RUNS_AS_JOB, Effect.RELEASES_CONSOLES),
)
def restore(context: Context, wish: OfCheckpoint) -> Document:
    """Put machines back to what was saved, and prove it. `pizarra undo` takes it back.

    Example: pizarra checkpoint restore net lesson-3
    """
    from pizarra.service import checkpoints

    return checkpoints.restore(context, wish.classroom, wish.checkpoint, wish.numbers).to_json()


class HandOut(OfCheckpoint):
    """Whose checkpoint, and who gets it."""

    source: int = Field(ge=1, le=SEATS_MAX, description="The number of the seat that was saved.")


@command(
    "checkpoint hand-out",
    who=Who.TEACHER,
    scope=Scope.OPERATE,
    route=f"POST {_ONE}/hand-out",
    effects=(Effect.RUNS_AS_JOB, Effect.RELEASES_CONSOLES),
)
def hand_out(context: Context, wish: HandOut) -> Document:
    """Make what was saved of one machine the start of all.

    Addresses and names on the network stay each machine's own; so do host name and keys where
    `classroom identify` gave them and the disk is ext4. `pizarra undo` takes it back.

    Example: pizarra checkpoint hand-out net lesson-3 --from 1
    """
    from pizarra.service import checkpoints

    return checkpoints.hand_out(
        context, wish.classroom, wish.checkpoint, wish.source, wish.numbers
    ).to_json()


@command("checkpoint list", who=Who.TEACHER, scope=Scope.READ, route="GET " + _ALL)
def list_(context: Context, wish: OfClassroom) -> Document:
    """The checkpoints of a classroom, the oldest first.

    Example: pizarra checkpoint list net
    """
    from pizarra.service import checkpoints

    return checkpoints.list_checkpoints(context, wish.classroom)


@command(
    "checkpoint delete",
    who=Who.TEACHER,
    scope=Scope.OPERATE,
    route="DELETE " + _ONE,
    effects=(Effect.RUNS_AS_JOB, Effect.DESTROYS),
)
def delete(context: Context, wish: OfCheckpoint) -> Document:
    """Forget a checkpoint; machines stay as they are.

    Example: pizarra checkpoint delete net lesson-3
    """
    from pizarra.service import checkpoints

    return checkpoints.delete(context, wish.classroom, wish.checkpoint, wish.numbers).to_json()


class Export(OfClassroom):
    """Which checkpoint of which seat, and where to."""

    checkpoint: CheckpointName
    folder: Path = Field(description="A new folder; from elsewhere, the name of a new folder.")
    source: int = Field(ge=1, le=SEATS_MAX, description="The number of the seat that was saved.")


@command(
    "checkpoint export",
    who=Who.TECHNICIAN,
    scope=Scope.MANAGE,
    route=f"POST {_ONE}/export",
    effects=(Effect.RUNS_AS_JOB,),
)
def export_(context: Context, wish: Export) -> Document:
    """Write what was saved of one machine, as a template for this host or another.

    Without RAM, and without data disks. Then: pizarra template import NAME FOLDER

    Example: pizarra checkpoint export net lesson-3 /mnt/usb/lesson-3 --from 1
    """
    from pizarra.service import export

    folder = export_folder(context, wish.folder)
    manifest = export.export_checkpoint(
        context, wish.classroom, wish.checkpoint, wish.source, folder
    )
    return exported(manifest.model_dump(), folder)
