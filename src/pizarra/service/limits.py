"""Limits of teachers. The settings of the host say them.

Root and technicians have no limits except those of the host itself. Bridges are another matter: a
bridge leads seats to a network on which Pizarra does not keep them apart.
"""

from __future__ import annotations

from pizarra.compute.network_xml import BRIDGE_PREFIX
from pizarra.errors import Forbidden
from pizarra.model.classroom_spec import BRIDGE, ClassroomSpec
from pizarra.model.facts import Classroom
from pizarra.model.policy import Policy, ResetBy
from pizarra.model.sentence import N_
from pizarra.model.sizes import GIB, size_text
from pizarra.service.context import Context


def check_limits(context: Context, spec: ClassroomSpec, present: Classroom | None = None) -> None:
    """Raises Forbidden for more than a teacher may ask for. What the classroom ``present`` has
    already is allowed."""
    record = present.record if present else None
    if record is None or record.network != spec.network:
        _check_bridge(context, spec.network)
    if not _is_limited(context):
        return
    settings = context.host.settings
    _check(N_("seats"), spec.seats, settings.teacher_seats, len(present.seats) if present else 0)
    _check(N_("vcpus"), spec.vcpus, settings.teacher_vcpus, record.vcpus if record else 0)
    most_bytes = int(settings.teacher_memory_gib * GIB)
    _check_bytes(N_("memory"), spec.memory_bytes, most_bytes, record.memory_bytes if record else 0)
    if spec.disk_bytes is not None:
        has_bytes = present.seats[0].volumes[0].size_bytes if present else 0
        check_disk(context, spec.disk_bytes, has_bytes)


def check_policy(context: Context, wish: Policy, is_now: Policy) -> None:
    """Raises Forbidden when somebody who may not reset changes the rule of who may reset."""
    may = context.by is None or is_now.may_reset(context.by)
    if not may and wish.reset_by is not is_now.reset_by:
        raise Forbidden(
            "The policy leaves resets to {those}, who alone may change that.",
            "Ask one of them.",
            those=is_now.reset_by,
        )


def check_disk(context: Context, size_bytes: int, has_bytes: int = 0) -> None:
    """Raises Forbidden for a seat's disk that is too large."""
    if _is_limited(context):
        most_bytes = int(context.host.settings.teacher_disk_gib * GIB)
        _check_bytes(N_("disk"), size_bytes, most_bytes, has_bytes)


def _is_limited(context: Context) -> bool:
    return context.by in (ResetBy.STUDENTS, ResetBy.TEACHERS)


def _check(what: str, number: int, most: int, has: int) -> None:
    if number > max(most, has):
        _refuse(what, str(number), str(most))


def _check_bytes(what: str, size_bytes: int, most_bytes: int, has_bytes: int) -> None:
    if size_bytes > max(most_bytes, has_bytes):
        _refuse(what, size_text(size_bytes), size_text(most_bytes))


def _refuse(what: str, wished: str, most: str) -> None:
    raise Forbidden(
        "A teacher may ask for {what} up to {most}, and not for {wished}.",
        "Ask for less, or ask a technician to make it.",
        what=what,
        wished=wished,
        most=most,
    )


def _check_bridge(context: Context, network: str) -> None:
    """Raises Forbidden for a bridge that is not allowed. The network of another classroom is
    allowed to nobody."""
    if not network.startswith(BRIDGE):
        return
    bridge = network.removeprefix(BRIDGE)
    if bridge.startswith(BRIDGE_PREFIX):
        raise Forbidden(
            "The bridge {bridge} is a classroom's own network.",
            "Seats of another classroom have no place there: choose another network.",
            bridge=bridge,
        )
    if _is_limited(context) and bridge not in context.host.settings.teacher_bridges:
        raise Forbidden(
            "The bridge {bridge} is not one that teachers may use.",
            "Choose isolated, nat or none; or ask a technician to add the bridge to the setting"
            " teacher_bridges.",
            bridge=bridge,
        )
