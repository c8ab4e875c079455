"""The verbs over the seats of a classroom."""

from __future__ import annotations

from pydantic import Field

from pizarra.model.outcome import Mode
from pizarra.model.policy import After
from pizarra.service.commands.arguments import OfSeats
from pizarra.service.commands.declaration import Document, Effect, Scope, Who, command
from pizarra.service.context import Context

_VERB = "POST /classrooms/{classroom}/verbs/"


@command(
    "start",
    who=Who.TEACHER,
    scope=Scope.OPERATE,
    route=_VERB + "start",
    effects=(Effect.RUNS_AS_JOB, Effect.STARTS_LESSON),
)
def start(context: Context, wish: OfSeats) -> Document:
    """Switch machines on, so many at a time.

    Example: pizarra start net 1-8
    """
    from pizarra.service import verbs

    return verbs.start(context, wish.classroom, wish.numbers).to_json()


class Stop(OfSeats):
    """Which seats, and how long a guest may take."""

    grace: float | None = Field(
        None, ge=0, le=3600, description="Seconds that a guest may take to shut down."
    )


@command(
    "stop",
    who=Who.TEACHER,
    scope=Scope.OPERATE,
    route=_VERB + "stop",
    effects=(Effect.RUNS_AS_JOB,),
)
def stop(context: Context, wish: Stop) -> Document:
    """Shut machines down; switch off those that do not listen.

    Example: pizarra stop net --grace 10
    """
    from pizarra.service import verbs

    return verbs.stop(context, wish.classroom, wish.numbers, grace_s=wish.grace).to_json()


class Reset(OfSeats):
    """Which seats, how, and what they do afterwards."""

    mode: Mode | None = Field(None, description="cold, hot or warm; as the policy says without it.")
    after: After | None = Field(
        None, description="What a machine does afterwards; as the policy says without it."
    )


def _plan_reset(context: Context, wish: Reset) -> Document:
    from pizarra.service import verbs

    plan = verbs.reset_plan(context, wish.classroom, wish.numbers, mode=wish.mode, after=wish.after)
    return plan.to_json()


@command(
    "reset",
    who=Who.TEACHER,
    scope=Scope.OPERATE,
    route=_VERB + "reset",
    effects=(Effect.RUNS_AS_JOB, Effect.RELEASES_CONSOLES),
    plan=_plan_reset,
    plan_route="GET /classrooms/{classroom}/plan",
)
def reset(context: Context, wish: Reset) -> Document:
    """Put machines back to their original state, and prove it.

    Example: pizarra reset net 1-8,11 --mode hot
    """
    from pizarra.service import verbs

    return verbs.reset(
        context, wish.classroom, wish.numbers, mode=wish.mode, after=wish.after
    ).to_json()


@command(
    "undo",
    who=Who.TEACHER,
    scope=Scope.OPERATE,
    route=_VERB + "undo",
    effects=(Effect.RUNS_AS_JOB, Effect.RELEASES_CONSOLES),
)
def undo(context: Context, wish: OfSeats) -> Document:
    """Take the last reset back: machines have the work on them again.

    Example: pizarra undo net 3
    """
    from pizarra.service import undo as undoing

    return undoing.undo(context, wish.classroom, wish.numbers).to_json()


class Verify(OfSeats):
    """Which seats, and how thoroughly."""

    deep: bool = Field(False, description="Read and compare all of the data.")


@command(
    "verify",
    who=Who.TEACHER,
    scope=Scope.OPERATE,
    route=_VERB + "verify",
    effects=(Effect.RUNS_AS_JOB,),
)
def verify(context: Context, wish: Verify) -> Document:
    """Prove that machines are in their original state.

    Example: pizarra verify net --deep
    """
    from pizarra.service import verbs

    return verbs.verify(context, wish.classroom, wish.numbers, deep=wish.deep).to_json()


@command("status", who=Who.TEACHER, scope=Scope.READ, route="GET /classrooms/{classroom}")
def status(context: Context, wish: OfSeats) -> Document:
    """What each machine does, and how much of it has changed.

    Example: pizarra status net
    """
    from pizarra.service import status as service

    return service.status(context, wish.classroom, wish.numbers).to_json()


class Freeze(OfSeats):
    """Which seats, and what their students read meanwhile."""

    message: str = Field(
        "", max_length=200, description="What students read on their pages meanwhile."
    )


@command(
    "freeze",
    who=Who.TEACHER,
    scope=Scope.OPERATE,
    route=_VERB + "freeze",
    effects=(Effect.RUNS_AS_JOB, Effect.SHOWS_MESSAGE),
)
def freeze(context: Context, wish: Freeze) -> Document:
    """Let machines that run stand still, with all that is on their screens.

    Example: pizarra freeze net 1-8
    """
    from pizarra.service import freeze as freezing

    return freezing.freeze(context, wish.classroom, wish.numbers, wish.message).to_json()


@command(
    "unfreeze",
    who=Who.TEACHER,
    scope=Scope.OPERATE,
    route=_VERB + "unfreeze",
    effects=(Effect.RUNS_AS_JOB, Effect.HIDES_MESSAGE),
)
def unfreeze(context: Context, wish: OfSeats) -> Document:
    """Let machines that stand still go on.

    Example: pizarra unfreeze net
    """
    from pizarra.service import freeze as freezing

    return freezing.unfreeze(context, wish.classroom, wish.numbers).to_json()
