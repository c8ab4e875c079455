"""What a host check says: one finding a check, with what mends it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a finding matters."""

    GOOD = "good"
    ADVICE = "advice"  # works as it is; better otherwise
    WARNING = "warning"  # works today, or in part
    UNFIT = "unfit"  # classes would fail


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """What ``--fix`` does: packages, then files, then a pool, then commands. All safe to repeat."""

    packages: tuple[str, ...] = ()  # Debian's names; installed only with the reader's consent
    files: tuple[tuple[str, str], ...] = ()  # (path, text); one that is there is left as it is
    thin_pool: tuple[str, str] | None = None  # (volume group, name), made if there is none
    commands: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check."""

    check: str  # what was looked at; the same name in every run
    level: Level
    says: str
    mend: str = ""  # a command to type; empty when no single command mends it
    fix: Fix | None = None  # None: nothing that is safe to do unasked

    @property
    def safe_to_fix(self) -> bool:
        """Whether ``--fix`` may mend it."""
        return self.fix is not None


def good(check: str, says: str) -> Finding:
    """All is well."""
    return Finding(check=check, level=Level.GOOD, says=says)


def advice(check: str, says: str, mend: str = "", fix: Fix | None = None) -> Finding:
    """Better otherwise."""
    return Finding(check=check, level=Level.ADVICE, says=says, mend=mend, fix=fix)


def warning(check: str, says: str, mend: str = "", fix: Fix | None = None) -> Finding:
    """Works today, or in part."""
    return Finding(check=check, level=Level.WARNING, says=says, mend=mend, fix=fix)


def unfit(check: str, says: str, mend: str = "", fix: Fix | None = None) -> Finding:
    """Classes would fail."""
    return Finding(check=check, level=Level.UNFIT, says=says, mend=mend, fix=fix)


def is_fit(findings: Iterable[Finding]) -> bool:
    """Nothing among them is unfit."""
    return all(finding.level is not Level.UNFIT for finding in findings)
