"""What a classroom's owner lays down for it: it stands in the classroom's file and on its seats."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pizarra.errors import BadInput
from pizarra.model.labels import Labels
from pizarra.model.outcome import Mode

UNDO_HOURS_MAX = 8760
MINUTES_MAX = 24 * 60


class After(StrEnum):
    """What a seat does when it is original again."""

    AS_FOUND = "as found"
    RUNNING = "running"
    OFF = "off"


class ResetBy(StrEnum):
    """Who may reset a seat from the pages and the API; root may in any case."""

    STUDENTS = "students"  # each their own, and their teachers
    TEACHERS = "teachers"
    TECHNICIANS = "technicians"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Checked when it is made: raises BadInput naming what is wrong."""

    after_reset: After = After.AS_FOUND
    modes: tuple[Mode, ...] = tuple(Mode)
    reset_by: ResetBy = ResetBy.STUDENTS
    undo_hours: int | None = None  # as the host is set
    minutes: int = 0  # of a lesson; no limit

    def __post_init__(self) -> None:
        if not self.modes:
            raise BadInput("A classroom has at least one mode of reset.",
                           "Choose from {modes}.", modes=", ".join(Mode))  # fmt: skip
        for what, number, most in (
            ("undo_hours", self.undo_hours or 0, UNDO_HOURS_MAX),
            ("minutes", self.minutes, MINUTES_MAX),
        ):
            if not 0 <= number <= most:
                raise BadInput("{what} cannot be {number}.", "Choose from 0 to {most}.",
                               what=what, number=number, most=most)  # fmt: skip

    def on(self, labels: Labels) -> Labels:
        """Labels that say so; what is as always is not written."""
        return labels.but(
            after="" if self.after_reset is After.AS_FOUND else str(self.after_reset),
            modes="" if set(self.modes) == set(Mode) else "+".join(self.modes),
            reset_by="" if self.reset_by is ResetBy.STUDENTS else str(self.reset_by),
            undo_hours="" if self.undo_hours is None else str(self.undo_hours),
            minutes=self.minutes,
        )

    def mode(self, wished: Mode | None) -> Mode:
        """The wished one if it is allowed, or the one that is usual. Raises BadInput."""
        if wished is None:
            return Mode.COLD if Mode.COLD in self.modes else self.modes[0]
        if wished in self.modes:
            return wished
        raise BadInput(
            "Its policy does not allow a {mode} reset.",
            "Use --mode {modes}; or change `modes` in its file: pizarra classroom apply FILE",
            mode=wished,
            modes=", ".join(self.modes),
        )

    def may_reset(self, by: ResetBy) -> bool:
        """Whether one of these may: root's word is no question."""
        ranks = list(ResetBy)
        return ranks.index(by) >= ranks.index(self.reset_by)


def is_readable(labels: Labels) -> bool:
    """Whether they say a policy; somebody may have edited a tag."""
    try:
        _policy(labels)
    except (BadInput, ValueError):
        return False
    return True


def policy_of(labels: Labels) -> Policy:
    """As a seat's labels say; the usual one where they cannot be read: a fault of the seat."""
    return _policy(labels) if is_readable(labels) else Policy()


def _policy(labels: Labels) -> Policy:
    return Policy(
        after_reset=After(labels.after or After.AS_FOUND),
        modes=tuple(Mode(one) for one in labels.modes.split("+")) if labels.modes else tuple(Mode),
        reset_by=ResetBy(labels.reset_by or ResetBy.STUDENTS),
        undo_hours=int(labels.undo_hours) if labels.undo_hours else None,
        minutes=labels.minutes,
    )
