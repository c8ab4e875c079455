"""Mending a host, and what is shown of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pizarra.cli.host import consent, finding_lines
from pizarra.engine.events import Event, Noted
from pizarra.engine.fitness.findings import Fix, Level, finding, good
from pizarra.engine.fitness.repair import packages_of, repair
from pizarra.service.host_check import HostReport

U, W, A = Level.UNFIT, Level.WARNING, Level.ADVICE


def heard(events: list[Event]) -> Callable[[Event], None]:
    return events.append


def test_repaired_when_a_file_is_there_already_then_it_stays_as_it_is(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "deep" / "new"
    old.write_text("mine")
    fix = Fix(files=((str(old), "ours"), (str(new), "ours")))
    repair([finding(W, "x", "y", "", fix)], heard([]), install=False)
    assert (old.read_text(), new.read_text()) == ("mine", "ours")


def test_repaired_when_one_fix_fails_then_it_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    file = tmp_path / "made"
    bad = finding(W, "a", "y", "", Fix(commands=(("false",),)))
    well = finding(W, "b", "y", "", Fix(commands=(("touch", str(file)),)))
    events: list[Event] = []
    repair([bad, well], heard(events), install=False)
    assert file.exists()
    said = [one.text.format(**one.facts) for one in events if isinstance(one, Noted)]
    assert said[:2] == ["Running: false", "false failed with status 1: it printed no error"]


def test_repaired_when_nobody_consented_then_no_package_is_installed() -> None:
    events: list[Event] = []
    repair([finding(U, "x", "y", "", Fix(packages=("nothing-like-it",)))], heard(events),
             install=False)  # fmt: skip
    assert events == []


def test_packages_of_when_two_findings_name_one_then_it_is_installed_once() -> None:
    fixes = (Fix(packages=("lvm2", "ovmf")), Fix(packages=("lvm2",)))
    assert packages_of(finding(W, "x", "y", "", fix) for fix in fixes) == ("lvm2", "ovmf")


def test_consent_when_nobody_can_be_asked_then_only_yes_is_yes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert consent(yes=True, as_json=True)(("lvm2",))
    assert not consent(yes=False, as_json=True)(("lvm2",))
    assert capsys.readouterr().err == "Not installed without --yes: lvm2\n"


def test_the_document_when_something_was_mended_then_it_says_so() -> None:
    bad = finding(U, "qemu", "{what} is missing.", "apt-get install q", what="QEMU")
    report = HostReport(findings=(good("kvm", "Works."), bad), fixed=frozenset({"kvm"}))
    assert report.exit_status == 3
    assert report.to_json() == {
        "fit": False,
        "findings": [
            {"check": "kvm", "level": "good", "says": "Works.", "mend": "", "fixed": True},
            {
                **{"check": "qemu", "level": "unfit", "says": "QEMU is missing."},
                **{"mend": "apt-get install q", "fixed": False},
            },
        ],
    }


def test_finding_lines_when_a_command_is_long_then_it_stays_in_one_piece() -> None:
    mend = "lvcreate --type thin-pool -l 80%FREE --zero y -n pizarra volume_group_of_a_school"
    lines = list(finding_lines(finding(A, "thin-pool", "word " * 40, mend)))
    assert lines[-1].strip() == f"$ {mend}"
    assert lines[0].startswith("· advice")
