"""Tools are tried, not only found."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import libvirt
import pytest

from pizarra.compute.libvirt_domains import autostarting_domains
from pizarra.compute.libvirt_driver import LibvirtCompute
from pizarra.engine.fitness.findings import Level
from pizarra.engine.fitness.judge import judge_host
from pizarra.engine.fitness.look_tools import ask_tools, try_tools
from tests.unit.test_fitness import HEALTHY, with_machine


def test_tools_when_this_machine_has_them_then_none_is_broken() -> None:
    assert try_tools(["thin_delta", "thin_check", "qemu-img", "lvm", "openssl"]) == {}


def test_tools_when_they_run_then_their_versions_are_known() -> None:
    asked = ask_tools(["lvm", "qemu-img", "thin_delta", "thin_check", "nft", "mcopy"])
    assert all(re.fullmatch(r"\d+(\.\d+)+", one.version) for one in asked.values()), asked


@pytest.mark.parametrize(
    ("name", "script", "said"),
    [
        ("thin_delta", "echo 'error: unexpected argument' >&2; exit 2", "unexpected argument"),
        ("mcopy", "echo 'mcopy: libx.so: cannot open shared object file' >&2; exit 127", "libx.so"),
        ("debugfs", "kill -ILL $$", "status -4"),
    ],
)
def test_tools_when_one_does_not_work_then_named_with_what_it_said(
    name: str, script: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / name
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    broken = try_tools([name, "openssl"])
    assert list(broken) == [name]
    assert said in broken[name]


def test_tools_when_all_run_then_the_finding_shows_their_versions() -> None:
    seen = with_machine(versions={"lvm": "2.03.16", "debugfs": ""})
    (tools,) = [one for one in judge_host(seen) if one.check == "tools"]
    assert tools.says == "The tools that are installed run: lvm 2.03.16, debugfs."


@pytest.mark.parametrize("names", [("net-01",), ("net-01", "net-02")])
def test_check_when_libvirt_starts_seats_by_itself_then_says_so_and_mends_it(
    names: tuple[str, ...],
) -> None:
    (one,) = [
        found
        for found in judge_host(replace(HEALTHY, autostarting=names))
        if found.check == "autostart"
    ]
    assert (one.level, ", ".join(names) in one.says) == (Level.WARNING, True)
    assert one.fix
    off = ("virsh", "-c", "qemu:///system", "autostart", "--disable")
    assert one.fix.commands == tuple((*off, name) for name in names)
    assert not [found for found in judge_host(HEALTHY) if found.check == "autostart"]


def test_machines_when_libvirt_starts_some_by_itself_then_they_are_known() -> None:
    compute = LibvirtCompute("test:///default")
    try:
        assert compute.autostarting() == {}
        conn = libvirt.open("test:///default")
        domain = conn.lookupByName("test")
        domain.setAutostart(1)
        assert autostarting_domains(conn) == {domain.UUIDString(): "test"}
    finally:
        compute.close()
