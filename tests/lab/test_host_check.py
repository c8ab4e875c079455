"""`pizarra host check` on a real host: the lab, with an empty volume group and libvirt."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pizarra.cli.host import app
from pizarra.engine.fitness import look_lvm
from pizarra.system.locks import holding_vg_lock

VG = "vg_class"
Findings = dict[str, dict[str, Any]]
Check = Callable[..., tuple[int, Findings, str]]


@pytest.fixture
def host_check(monkeypatch: pytest.MonkeyPatch) -> Check:
    """A function that runs the command: its status, findings by check, and stderr."""

    def run(*options: str, **settings: str) -> tuple[int, Findings, str]:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        done = CliRunner().invoke(app, ["check", "--json", *options])
        document = json.loads(done.stdout)
        findings = {one["check"]: one for one in document["findings"]}
        assert document["fit"] is ("unfit" not in {one["level"] for one in findings.values()})
        return done.exit_code, findings, done.stderr

    return run


def shell(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def lvs(field: str, volume: str) -> str:
    return shell("lvs", "--noheadings", "--units", "m", "--nosuffix", "-o", field, volume).strip()


@pytest.fixture
def pools() -> Iterator[list[str]]:
    """A list for names of pools. Each named pool is removed afterwards."""
    made: list[str] = []
    yield made
    for name in made:
        subprocess.run(["lvremove", "-fy", f"{VG}/{name}"], capture_output=True)


def test_host_check_when_the_host_is_fresh_then_fit_and_fix_makes_a_pool_that_grows(
    host_check: Check, pools: list[str]
) -> None:
    pools.append("fresh")
    profile = Path("/etc/lvm/profile/pizarra.profile")
    status, findings, _ = host_check(PIZARRA_POOL="fresh")
    assert status == 0
    assert findings[f"thin-pool {VG}/fresh"]["level"] == "advice"
    assert findings["libvirt"]["level"] == findings["lvm"]["level"] == "good"
    assert not profile.exists()

    status, findings, said = host_check("--fix", PIZARRA_POOL="fresh")
    assert status == 0
    assert f"Making the thin pool {VG}/fresh" in said
    assert findings[f"thin-pool {VG}/fresh"]["fixed"]
    grows = findings[f"pool-growth {VG}/fresh"]
    assert (grows["level"], grows["fixed"]) == ("good", True)
    assert findings["device-mapper"]["level"] == "good"
    assert lvs("seg_monitor", f"{VG}/fresh") == "monitored"
    assert lvs("lv_profile", f"{VG}/fresh") == "pizarra"

    status, findings, said = host_check("--fix", PIZARRA_POOL="fresh")
    assert status == 0
    assert said == ""
    assert not any(one["fixed"] for one in findings.values())


def test_host_check_when_a_pool_is_nearly_full_then_unfit_and_fix_extends_it(
    host_check: Check, pools: list[str]
) -> None:
    pools.append("small")
    shell("lvcreate", "-y", "--type", "thin-pool", "-L", "64m", "-n", "small", VG)
    shell("lvcreate", "-y", "-T", "-V", "256m", "-n", "fill", f"{VG}/small")
    shell("dd", "if=/dev/zero", f"of=/dev/{VG}/fill", "bs=1M", "count=62", "oflag=direct")
    space = f"pool-space {VG}/small"

    status, findings, _ = host_check(PIZARRA_POOL="small")
    assert status == 3
    assert findings[space]["level"] == "unfit"
    assert findings[space]["mend"] == f"lvextend -l +25%LV {VG}/small"

    status, findings, said = host_check("--fix", PIZARRA_POOL="small")
    assert f"Running: lvextend -l +25%LV {VG}/small" in said
    assert status == 0
    assert findings[space]["level"] != "unfit"
    assert float(lvs("lv_size", f"{VG}/small")) >= 80


def test_host_check_when_metadata_is_mended_as_it_says_then_lvm_grows_it(pools: list[str]) -> None:
    pools.append("meta")
    shell("lvcreate", "-y", "--type", "thin-pool", "-L", "64m", "--poolmetadatasize", "4m",
          "-n", "meta", VG)  # fmt: skip
    shell("lvextend", "--poolmetadatasize", "+64m", f"{VG}/meta")
    assert float(lvs("lv_metadata_size", f"{VG}/meta")) == 68


def test_host_check_when_libvirt_is_not_there_then_unfit_and_the_rest_is_still_told(
    host_check: Check,
) -> None:
    status, findings, _ = host_check(PIZARRA_LIBVIRT_URI="qemu+unix:///system?socket=/none")
    assert status == 3
    assert findings["libvirt"]["level"] == "unfit"
    assert findings["lvm"]["level"] == "good"


def test_host_check_when_the_group_of_the_settings_is_not_there_then_unfit(
    host_check: Check,
) -> None:
    status, findings, _ = host_check(PIZARRA_VG="vg_none")
    assert status == 3
    assert findings["volume-group"]["mend"].startswith("vgcreate vg_none ")


def test_host_check_when_lvm_is_held_up_then_it_ends_and_says_who_to_look_for(
    host_check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look_lvm, "LIMIT_S", 5)
    with holding_vg_lock(VG):
        status, findings, _ = host_check(PIZARRA_VG=VG)
    assert status == 3
    assert findings["lvm"]["level"] == "unfit"
    assert findings["lvm"]["mend"] == "fuser -v /run/lock/lvm/*"
