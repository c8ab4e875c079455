"""What a host check says: one finding a check, with what mends it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pizarra.model.sentence import N_


class Level(StrEnum):
    """How much a finding matters."""

    GOOD = N_("good")
    ADVICE = N_("advice")  # works as it is; better otherwise
    WARNING = N_("warning")  # works today, or in part
    UNFIT = N_("unfit")  # classes would fail


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """What ``--fix`` does: packages, then files, then a pool, then commands. All safe to repeat."""

    packages: tuple[str, ...] = ()  # Debian's names; installed only with the reader's consent
    files: tuple[tuple[str, str], ...] = ()  # (path, text); one that is there is left as it is
    thin_pool: tuple[str, str] | None = None  # (volume group, name), made if there is none
    commands: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check; ``text`` is an English template over ``facts``, like an error's."""

    check: str  # what was looked at; the same name in every run
    level: Level
    text: str
    facts: Mapping[str, object] = field(default_factory=dict)
    mend: str = ""  # a command to type; empty when no single command mends it
    fix: Fix | None = None  # None: nothing that is safe to do unasked

    @property
    def says(self) -> str:
        """In English."""
        return self.text.format(**self.facts)

    @property
    def safe_to_fix(self) -> bool:
        """Whether ``--fix`` may mend it."""
        return self.fix is not None


def good(check: str, text: str, /, **facts: object) -> Finding:
    """All is well."""
    return Finding(check=check, level=Level.GOOD, text=text, facts=facts)


def finding(
    level: Level, check: str, text: str, mend: str = "", fix: Fix | None = None, /, **facts: object
) -> Finding:
    """Something to say."""
    return Finding(check=check, level=level, text=text, facts=facts, mend=mend, fix=fix)


def to_install(level: Level, check: str, text: str, /, *packages: str, **facts: object) -> Finding:
    """Something is missing that Debian and Ubuntu have in these packages."""
    fix = Fix(packages=packages)
    mend = f"apt-get install {' '.join(packages)}"
    return Finding(check=check, level=level, text=text, facts=facts, mend=mend, fix=fix)


def to_run(
    level: Level, check: str, text: str, command: tuple[str, ...], /, **facts: object
) -> Finding:
    """One command mends it, and ``--fix`` may run it."""
    fix = Fix(commands=(command,))
    mend = " ".join(command)
    return Finding(check=check, level=level, text=text, facts=facts, mend=mend, fix=fix)


def is_fit(findings: Iterable[Finding]) -> bool:
    """Nothing among them is unfit."""
    return all(finding.level is not Level.UNFIT for finding in findings)
