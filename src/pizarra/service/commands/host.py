"""The commands of a host: its check, adoption, recovery, guard, report and backup."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, StringConstraints

from pizarra.service.commands import table
from pizarra.service.commands.arguments import ClassroomName, NoArguments, Storage, VolumeGroup
from pizarra.service.commands.declaration import (
    Arguments,
    Document,
    Effect,
    Scope,
    Who,
    command,
)
from pizarra.service.commands.folders import check_at_terminal, check_is_root, exports
from pizarra.service.context import Context

if TYPE_CHECKING:
    from pizarra.service.adopt import Wish as AdoptionWish

_Domain = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Check(Arguments):
    """Whether to mend what is safe to mend."""

    fix: bool = Field(False, description="Mend what is safe to mend, then check again.")
    install: bool = Field(False, description="With fix: install packages that are missing.")


@command(
    "host check",
    who=Who.TECHNICIAN,
    scope=Scope.MANAGE,
    route="POST /host/check",
    effects=(Effect.RUNS_AS_JOB,),
)
def check(context: Context, wish: Check) -> Document:
    """Is this host fit for classes? Says what is missing, and what mends it. Exit 3: not fit.

    Example: pizarra host check --fix
    """
    from pizarra.service import host_check

    settings = context.host.settings
    if wish.install:
        check_is_root(context, "install")
    if not wish.fix:
        return host_check.check_host(settings).to_json()
    return host_check.fix_host(settings, lambda _packages: wish.install, context.emit).to_json()


class Adopt(Arguments):
    """Machines that become seats."""

    domains: list[_Domain] = Field(
        min_length=1, max_length=1000, description="Machines by their libvirt names."
    )
    classroom: ClassroomName = "adopted"
    storage: Storage = Field(None, description="lvm-thin or lvm-thick, for disks that are files.")
    vg: VolumeGroup = ""

    @property
    def wish(self) -> AdoptionWish:
        """As the service takes it."""

        from pizarra.service import adopt as adoption

        return adoption.Wish(classroom=self.classroom, kind=self.storage, vg=self.vg)


def _plan_adopt(context: Context, wish: Adopt) -> Document:
    from pizarra.service import adopt as adoption

    seats = [plan.to_json() for plan in adoption.plan(context, wish.domains, wish.wish)]
    return {"classroom": wish.classroom, "verb": "adopt", "dry_run": True, "seats": seats}


@command(
    "adopt",
    who=Who.TECHNICIAN,
    scope=Scope.MANAGE,
    route="POST /classrooms/{classroom}/adopt",
    effects=(Effect.RUNS_AS_JOB, Effect.DESTROYS),
    plan=_plan_adopt,
    plan_route="POST /classrooms/{classroom}/adoption",
)
def adopt(context: Context, wish: Adopt) -> Document:
    """Take over machines that are there already, under their own names.

    A disk that is a file is copied to a logical volume and compared; the file is kept. A disk
    that is a logical volume stays where it is. The machine must be shut off, and keeps all that
    its XML says. To let machines go again: pizarra classroom delete CLASSROOM.

    Example: pizarra adopt win11 debian12 --classroom office
    """
    from pizarra.service import adopt as adoption

    return adoption.adopt(context, wish.domains, wish.wish).to_json()


class Inspect(Arguments):
    """One seat."""

    seat: str = Field(max_length=200, description="net-07, or an adopted machine's name.")


@command("inspect", who=Who.TECHNICIAN, scope=Scope.READ, route="GET /inspect/{seat}")
def inspect(context: Context, wish: Inspect) -> Document:
    """Show what changed on a seat, look at its disks read-only, copy files out.

    Links in the guest are never followed, and its disk is never written. A small machine without a
    network reads the file system, as a student may have made it to attack who reads it. --attach
    gives a device only: do not mount it on this host.

    Example: pizarra inspect net-07 --copy /home/ana/report.txt --to ./ana
    """
    from pizarra.service import inspect as inspection

    return inspection.show(context, wish.seat)


@command(
    "recover",
    who=Who.TECHNICIAN,
    scope=Scope.MANAGE,
    route="POST /host/recover",
    effects=(Effect.RUNS_AS_JOB,),
)
def recover(context: Context, wish: NoArguments) -> Document:
    """Look at every seat after a crash or power cut; finish or repeat what was under way.

    Example: pizarra recover
    """
    from pizarra.service import recover as recovery

    _ = wish
    reports = [report.to_json() for report in recovery.recover(context)]
    return {"verb": "recover", "classrooms": reports}


@command(
    "guard",
    who=Who.TECHNICIAN,
    scope=Scope.MANAGE,
    route="POST /host/guard",
    effects=(Effect.RUNS_AS_JOB,),
)
def guard(context: Context, wish: NoArguments) -> Document:
    """Look after space: pause the machines that fill a pool, extend classic stores before they
    overflow, drop undos of yesterday; and raise the firewall between seats if somebody took it
    away. The timer pizarra-guard runs it each minute.

    Example: pizarra guard
    """
    from pizarra.service import guard as guarding

    _ = wish
    return guarding.guard(context)


class Report(Arguments):
    """Where the bundle goes."""

    output: Path | None = Field(None, description="The file to write; from elsewhere, no path.")


@command(
    "report",
    who=Who.TECHNICIAN,
    scope=Scope.MANAGE,
    route="POST /host/report",
    effects=(Effect.RUNS_AS_JOB,),
)
def report(context: Context, wish: Report) -> Document:
    """Put what helps to find a fault into one file, without secrets. Changes nothing.

    Example: pizarra report --output /tmp/report.tar.gz
    """
    from pizarra.service import report as reporting

    path = reporting.default_target()
    if context.by is not None:
        path = exports(context.host.settings) / path.name
    elif wish.output is not None:
        path = wish.output
    reporting.report(context.host.settings, path, lambda _what: None)
    return {"report": str(path), "bytes": path.stat().st_size}


class Backup(Arguments):
    """Where the backup goes."""

    folder: Path = Field(description="A new folder, in one that only root can write to.")


@command(
    "backup",
    who=Who.TECHNICIAN,
    scope=Scope.MANAGE,
    route="POST /host/backup",
    effects=(Effect.RUNS_AS_JOB,),
)
def backup(context: Context, wish: Backup) -> Document:
    """Save what of this host is not on its disks: people, settings, keys, undos, firmware states.

    It waits for verbs that are under way, and none begins meanwhile; that takes seconds. The folder
    has secrets and is root's alone. The RAM of checkpoints is left out.

    Example: pizarra backup /srv/backup/monday
    """
    from pizarra.service.backup.save import back_up

    check_at_terminal(context)
    return back_up(context, wish.folder)


class Restore(Arguments):
    """What is put back."""

    folder: Path = Field(description="A folder that pizarra backup wrote.")
    replace: bool = Field(False, description="Also on a host that has a state of its own.")


@command(
    "restore",
    who=Who.TECHNICIAN,
    scope=Scope.MANAGE,
    route="POST /host/restore",
    effects=(Effect.RUNS_AS_JOB, Effect.DESTROYS),
)
def restore(context: Context, wish: Restore) -> Document:
    """Put a backup back, all of it or nothing. No volume is touched. The server must be stopped.

    Every sum is checked first. What is here now stays in folders beside. Afterwards run: pizarra
    recover. It drops what the backup says of contents that are others by now.

    Example: pizarra restore /srv/backup/monday --yes
    """
    from pizarra.service.backup.restore import restore as put_back

    check_at_terminal(context)
    return put_back(context, wish.folder, replace=wish.replace)


@command("commands", who=Who.STUDENT, scope=Scope.READ, route="GET /commands")
def commands(context: Context, wish: NoArguments) -> Document:
    """The table of all commands: arguments, effects and who may. For programs, with --json.

    Example: pizarra commands --json
    """
    _ = context, wish
    return table.to_json()
