"""Carries out what a finding's ``Fix`` lists, and tells each thing that it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from pizarra.engine.events import Emit, Noted
from pizarra.engine.fitness.findings import Finding, Fix
from pizarra.errors import PizarraError, StorageFault
from pizarra.model.sentence import N_
from pizarra.storage.preparation import create_pool
from pizarra.system.process import run

_INSTALL_S = 1800
_COMMAND_S = 300
_APT = ("apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=120")


def packages_of(findings: Iterable[Finding]) -> tuple[str, ...]:
    """All that are to be installed, each once."""
    fixes = (finding.fix for finding in findings if finding.fix)
    return tuple(dict.fromkeys(package for fix in fixes for package in fix.packages))


def repair(findings: Iterable[Finding], emit: Emit, *, install: bool) -> None:
    """Mend what is safe to mend; packages only with ``install``.

    A fix that fails is told, and the others go on: the next check shows what is left.
    """
    found = tuple(findings)
    if install and (packages := packages_of(found)):
        _try(lambda: _install(packages, emit), emit)
    for fix in (finding.fix for finding in found if finding.fix):
        _try(lambda fix=fix: _carry_out(fix, emit), emit)  # type: ignore[misc]


def _try(act: Callable[[], None], emit: Emit) -> None:
    try:
        act()
    except PizarraError as error:
        emit(Noted(text=error.text, facts=error.facts))


def _install(packages: tuple[str, ...], emit: Emit) -> None:
    emit(Noted(text=N_("Installing {packages}"), facts={"packages": ", ".join(packages)}))
    apt = ("env", "DEBIAN_FRONTEND=noninteractive", *_APT)
    run([*apt, "update"], timeout_s=_INSTALL_S)
    run([*apt, "install", "--no-install-recommends", *packages], timeout_s=_INSTALL_S)


def _carry_out(fix: Fix, emit: Emit) -> None:
    for name, text in fix.files:
        _make_file(Path(name), text, emit)
    if fix.thin_pool:
        vg, pool = fix.thin_pool
        emit(Noted(text=N_("Making the thin pool {vg}/{pool}"), facts={"vg": vg, "pool": pool}))
        create_pool(vg, pool)
    for command in fix.commands:
        emit(Noted(text=N_("Running: {command}"), facts={"command": " ".join(command)}))
        run(command, timeout_s=_COMMAND_S)


def _make_file(path: Path, text: str, emit: Emit) -> None:
    """What is there already stays as it is."""
    if path.exists():
        return
    emit(Noted(text=N_("Writing {path}"), facts={"path": str(path)}))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageFault(
            "{path} cannot be written: {why}.", path=str(path), why=error.strerror
        ) from None
