"""host check."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Annotated, Any

import typer

from pizarra.cli.ask import ask
from pizarra.cli.declared import declared
from pizarra.cli.group import group
from pizarra.cli.options import Json, Yes
from pizarra.cli.output import confirm, err, out, print_json, reporting_errors, showing_progress
from pizarra.cli.server_option import server_from_options
from pizarra.cli.words import _, ngettext, translate
from pizarra.engine.events import Emit
from pizarra.engine.fitness.findings import Finding, Level
from pizarra.service.host_check import Consent, HostReport, check_host, fix_host
from pizarra.settings import read_settings

app = group("This host.", "host")

_WIDTH = 80
_SIGNS = {Level.GOOD: "✔", Level.ADVICE: "·", Level.WARNING: "!", Level.UNFIT: "✘"}
_INDENT = " " * 11


@app.callback()
def _host() -> None:
    """This host."""  # without a callback typer would take the only command for the whole


@app.command()
@declared("host check")
def check(
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what is safe to mend, then check again.")
    ] = False,
    as_json: Json = False,
    yes: Yes = False,
) -> None:
    if err.is_terminal:
        err.print(_("Looking at this host …"))
    with reporting_errors(as_json=as_json):
        is_elsewhere = server_from_options() is not None
    if is_elsewhere:
        document = ask("host check", {"fix": fix}, as_json=as_json)
        report = _report_of(document)
    else:
        with reporting_errors(as_json=as_json), showing_progress(quiet=as_json) as emit:
            report = _check_here(emit, fix=fix, yes=yes, as_json=as_json)
    if as_json:
        print_json(report.to_json())
    else:
        _show(report)
    raise typer.Exit(report.exit_status)


def _check_here(emit: Emit, *, fix: bool, yes: bool, as_json: bool) -> HostReport:
    """Check this host. Without root, the only finding says so."""
    settings = read_settings()
    if fix:
        return fix_host(settings, consent(yes=yes, as_json=as_json), emit)
    return check_host(settings)


def _report_of(document: Mapping[str, Any]) -> HostReport:
    """Parse the document of a server's host."""
    findings = [
        Finding(
            check=one["check"],
            level=Level(one["level"]),
            text="{says}",
            facts={"says": one["says"]},
            mend=one["mend"],
        )
        for one in document["findings"]
    ]
    fixed = frozenset(one["check"] for one in document["findings"] if one["fixed"])
    return HostReport(findings=tuple(findings), fixed=fixed)


def consent(*, yes: bool, as_json: bool) -> Consent:
    """Packages are installed with --yes, or when somebody at a terminal says so."""

    def may_install(packages: tuple[str, ...]) -> bool:
        names = ", ".join(packages)
        if not yes and (as_json or not sys.stdin.isatty()):
            text = _("Not installed without --yes: {names}").format(names=names)
            err.print(text)
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
            out.print(line)
    out.print(_last_sentence(report), bold=True)


def finding_lines(finding: Finding, *, fixed: bool = False) -> Iterator[str]:
    """The lines of a finding in 80 columns: a sign, the level, the text; the command on a line of
    its own."""
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
