"""What a classroom's owner lays down for it: it stands in the classroom's file and in
its record."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pizarra.errors import BadInput
from pizarra.model.outcome import Mode
from pizarra.model.sizes import MIB, size_text

UNDO_HOURS_MAX = 8760
MINUTES_MAX = 24 * 60
WEIGHT_LEAST, WEIGHT_USUAL, WEIGHT_MOST = 10, 100, 1000  # as libvirt and the kernel have them
GROWTH_LEAST_BYTES = MIB


class After(StrEnum):
    """What a seat does when it is original again."""

    AS_FOUND = "as found"
    RUNNING = "running"
    OFF = "off"


class AfterBoot(StrEnum):
    """Which machines are started when their host has booted."""

    OFF = "off"  # none
    AS_BEFORE = "as-before"  # those that ran before
    RUNNING = "running"  # all


class ResetBy(StrEnum):
    """Who may reset a seat from the pages and the API; root may in any case."""

    STUDENTS = "students"  # each their own, and their teachers
    TEACHERS = "teachers"
    TECHNICIANS = "technicians"


class ChangedHardware(StrEnum):
    """What a reset does with what somebody changed of a machine's hardware (memory, network cards,
    CDs); what a machine boots from and writes to is put right in any case."""

    KEEP = "keep"
    RESET = "reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Checked when it is made: raises BadInput naming what is wrong."""

    after_reset: After = After.AS_FOUND
    modes: tuple[Mode, ...] = tuple(Mode)
    reset_by: ResetBy = ResetBy.STUDENTS
    undo_hours: int | None = None  # as the host is set
    minutes: int = 0  # of a lesson; no limit
    changed_hardware: ChangedHardware = ChangedHardware.KEEP
    growth_bytes: int | None = None  # that a seat may write over its original; no limit
    weight: int = WEIGHT_USUAL  # of each machine, for processors and disks, beside other machines
    nested: bool = False  # whether machines may run machines of their own
    after_boot: AfterBoot = AfterBoot.OFF  # of seats that are proven to be whole

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
        self._check_shares()

    def _check_shares(self) -> None:
        if not WEIGHT_LEAST <= self.weight <= WEIGHT_MOST:
            raise BadInput("The weight of a classroom cannot be {number}.",
                           "Choose from {least} to {most}; {usual} is usual.", number=self.weight,
                           least=WEIGHT_LEAST, most=WEIGHT_MOST, usual=WEIGHT_USUAL)  # fmt: skip
        if self.growth_bytes is not None and self.growth_bytes < GROWTH_LEAST_BYTES:
            raise BadInput("A seat cannot be held to {size} of growth.",
                           "Choose at least {least}, or leave it out.",
                           size=size_text(self.growth_bytes),
                           least=size_text(GROWTH_LEAST_BYTES))  # fmt: skip

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
