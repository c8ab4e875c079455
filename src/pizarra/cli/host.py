"""host check."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from textwrap import wrap
from typing import Annotated

import typer

from pizarra.cli.options import Json, Yes
from pizarra.cli.output import confirm, err, out, print_json, reporting_errors, showing_progress
from pizarra.cli.words import _, ngettext, translate
from pizarra.engine.fitness.findings import Finding, Level
from pizarra.service.host_check import Consent, HostReport, check_host, fix_host
from pizarra.settings import read_settings

app = typer.Typer(help="This host.", no_args_is_help=True)

_WIDTH = 80
_SIGNS = {Level.GOOD: "✔", Level.ADVICE: "·", Level.WARNING: "!", Level.UNFIT: "✘"}
_INDENT = " " * 11


@app.callback()
def _host() -> None:
    """This host."""  # without a callback typer would take the only command for the whole


@app.command()
def check(
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what is safe to mend, then check again.")
    ] = False,
    as_json: Json = False,
    yes: Yes = False,
) -> None:
    """Is this host fit for classes? Says what is missing, and what mends it. Exit 3: not fit.

    Example: pizarra host check --fix
    """
    with reporting_errors(as_json=as_json), showing_progress(quiet=as_json) as emit:
        settings = read_settings()
        if err.is_terminal:
            err.print(_("Looking at this host …"), markup=False)
        if fix:
            report = fix_host(settings, consent(yes=yes, as_json=as_json), emit)
        else:
            report = check_host(settings)
    if as_json:
        print_json(report.to_json())
    else:
        _show(report)
    raise typer.Exit(report.exit_status)


def consent(*, yes: bool, as_json: bool) -> Consent:
    """Packages are installed with --yes, or when somebody at a terminal says so."""

    def may_install(packages: tuple[str, ...]) -> bool:
        names = ", ".join(packages)
        if not yes and (as_json or not sys.stdin.isatty()):
            text = _("Not installed without --yes: {names}").format(names=names)
            err.print(text, markup=False)
            return False
        try:
            confirm(_("Install {names}?").format(names=names), yes=yes)
        except typer.Exit:
            return False
        return True

    return may_install


def _show(report: HostReport) -> None:
    for finding in report.findings:
        for line in finding_lines(finding, fixed=finding.check in report.fixed):
            out.print(line, markup=False)
    out.print(_last_sentence(report), style="bold", markup=False)


def finding_lines(finding: Finding, *, fixed: bool = False) -> Iterator[str]:
    """80 columns: a sign, the level in words, what it says; the command by itself, never broken."""
    word = (
        _("mended") if fixed else _("ok") if finding.level is Level.GOOD else _(str(finding.level))
    )
    head = f"{_SIGNS[finding.level]} {word:<9}"
    says = f"{finding.check}: {translate(finding.text, finding.facts)}"
    yield from wrap(says, _WIDTH, initial_indent=head, subsequent_indent=_INDENT,
                    break_long_words=False, break_on_hyphens=False)  # fmt: skip
    if finding.mend:
        yield f"{_INDENT}  $ {finding.mend}"


def _last_sentence(report: HostReport) -> str:
    troubles = sum(1 for one in report.findings if one.level is Level.UNFIT)
    if not troubles:
        return _("This host is fit.")
    text = ngettext(
        "This host is not fit: {n} thing to mend first.",
        "This host is not fit: {n} things to mend first.",
        troubles,
    )
    return text.format(n=troubles)
