"""host check: look, judge, mend what is safe to mend, and look again."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from pizarra.engine.events import Emit, silent
from pizarra.engine.fitness.findings import Finding, Level, finding, is_fit
from pizarra.engine.fitness.judge import judge_host
from pizarra.engine.fitness.look import look_at_host
from pizarra.engine.fitness.repair import packages_of, repair
from pizarra.model.sentence import N_, Sentence
from pizarra.settings import Settings

_ROUNDS = 3  # a pool that was just made is watched and grown in the next
Consent = Callable[[tuple[str, ...]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReport:
    """What was found in the end, and which checks were mended on the way."""

    findings: tuple[Finding, ...]
    fixed: frozenset[str] = frozenset()

    @property
    def fit(self) -> bool:
        """Whether classes can be given here."""
        return is_fit(self.findings)

    @property
    def exit_status(self) -> int:
        """0, or 3 for a host that is not fit."""
        return 0 if self.fit else 3

    def to_json(self) -> dict[str, object]:
        """The document of ``--json``."""
        findings = [
            {
                "check": one.check,
                "level": str(one.level),
                "says": Sentence(one.text, **one.facts),
                "mend": one.mend,
                "fixed": one.check in self.fixed,
            }
            for one in self.findings
        ]
        return {"fit": self.fit, "findings": findings}


def check_host(settings: Settings) -> HostReport:
    """Look at the host and judge it. Changes nothing, and raises no error of ours: what cannot be
    seen is a finding."""
    if os.geteuid() != 0:
        return HostReport(findings=(_NOT_ROOT,))
    return HostReport(findings=judge_host(look_at_host(settings)))


_NOT_ROOT = finding(
    Level.UNFIT,
    "permissions",
    N_("Only root sees enough of LVM and libvirt to tell."),
    "sudo pizarra host check",
)


def fix_host(settings: Settings, may_install: Consent, emit: Emit = silent) -> HostReport:
    """Check the host, repair what is safe to repair, and check again. ``may_install`` is asked once
    at most."""
    report = check_host(settings)
    packages = packages_of(report.findings)
    install = bool(packages) and may_install(packages)
    tried: set[str] = set()
    for _ in range(_ROUNDS):
        to_mend = [
            one
            for one in report.findings
            if one.fix and one.check not in tried and (install or not one.fix.packages)
        ]
        if not to_mend:
            break
        tried |= {one.check for one in to_mend}
        repair(to_mend, emit, install=install)
        report = check_host(settings)
    troubled = {one.check for one in report.findings if one.level is not Level.GOOD}
    return HostReport(findings=report.findings, fixed=frozenset(tried - troubled))
