"""What the package is given from the code: man pages, completion, the settings file."""

from __future__ import annotations

import configparser
import os
import subprocess
import time
import tomllib
from pathlib import Path

import pytest

from pizarra.compute.libvirt_connection import LibvirtConnections
from pizarra.errors import BadInput, HostNotFit, NoAnswer
from pizarra.settings import Settings
from tools.command_tree import commands
from tools.completion import write_scripts
from tools.manual import write_pages
from tools.settings_file import settings_text

UNITS = Path(__file__).parents[2] / "packaging/systemd"


def test_manual_when_written_then_each_command_has_a_page_with_its_options(tmp_path: Path) -> None:
    pages = {page.name: page.read_text(encoding="utf-8") for page in write_pages(tmp_path)}
    for command in commands():
        text = pages[f"{command.page}.1"]
        assert text.count(".SH NAME") == 1
        for option in command.options:
            assert option.names[-1].replace("-", "\\-") in text
        for example in command.examples:
            assert example.replace("-", "\\-").replace("'", "\\(aq") in text
    assert "pizarra\\-classroom\\-create" in pages["pizarra-classroom.1"]


def unit(name: str) -> configparser.ConfigParser:
    """A unit of systemd, with its sections; names are in small letters."""
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.read(Path("packaging/systemd") / name)
    return read


def test_pages_when_systemd_runs_them_then_as_their_user_and_within_limits() -> None:
    pages, agent = unit("pizarra-pages.service"), unit("pizarra.service")
    assert pages["Service"]["User"] == Settings.model_fields["server_user"].default
    assert {"memorymax", "tasksmax", "limitnofile"} <= set(pages["Service"])
    assert "pizarra-pages.service" in agent["Unit"]["Wants"]
    assert pages["Unit"]["PartOf"] == "pizarra.service"
    assert agent["Service"]["ExecStart"].endswith("serve --part agent")
    assert pages["Service"]["ExecStart"].endswith("serve --part pages")
    rules = Path("packaging/debian/rules").read_text(encoding="utf-8")
    for name in (path.name for path in Path("packaging/systemd").glob("*.*") if path.is_file()):
        assert f" {name}" in rules or f"\t{name}" in rules, name


def test_recover_when_libvirt_is_slow_at_boot_then_its_unit_tries_again() -> None:
    """Not where a person is needed: trying again would not help."""
    at_boot = unit("pizarra-recover.service")
    assert at_boot["Service"]["Restart"] == "on-failure"
    assert at_boot["Unit"]["StartLimitIntervalSec"] == "0"
    final = {int(one) for one in at_boot["Service"]["RestartPreventExitStatus"].split()}
    connections = LibvirtConnections("test:///default", quick_s=0.01)
    with pytest.raises(NoAnswer) as silent:
        connections.do("list", "all domains", lambda _conn: time.sleep(1))
    with pytest.raises(HostNotFit) as absent:
        LibvirtConnections("nobody:///").do("list", "all domains", lambda _conn: None)
    assert not final & {silent.value.exit_status, absent.value.exit_status}
    assert {1, BadInput.exit_status} <= final


@pytest.mark.parametrize("starts", ["libvirt-guests.service", "pizarra.service"])
def test_recover_when_the_host_boots_then_what_starts_machines_waits_for_it(starts: str) -> None:
    assert starts in unit("pizarra-recover.service")["Unit"]["Before"].split()
    fence = unit("pizarra-fence.service")["Unit"]["Before"].split()
    assert {"libvirtd.service", "virtqemud.service", "libvirt-guests.service"} <= set(fence)


def completed(script: Path, *words: str) -> list[str]:
    """What bash offers for the last of these words."""
    ask = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pizarra'
    argv = ["bash", "-c", f'{ask}; printf "%s\\n" "${{COMPREPLY[@]}}"', "bash", str(script), *words]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()


def test_completion_when_bash_asks_then_commands_options_and_values(tmp_path: Path) -> None:
    write_scripts(tmp_path)
    script = tmp_path / "pizarra"
    assert "classroom" in completed(script, "pizarra", "cl")
    assert completed(script, "pizarra", "classroom", "cr") == ["create"]
    assert completed(script, "pizarra", "classroom", "create", "--sea") == ["--seats"]
    offered = completed(script, "pizarra", "classroom", "create", "net", "--storage", "lvm")
    assert offered == ["lvm-thin", "lvm-thick"]
    for name in ("_pizarra", "pizarra.fish"):
        assert "swap-data" in (tmp_path / name).read_text(encoding="utf-8")


def test_settings_file_when_every_line_is_used_then_nothing_differs_from_the_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.startswith("PIZARRA_")]:
        monkeypatch.delenv(name)
    text = settings_text()
    assert tomllib.loads(text) == {}
    lines = [line[1:] for line in text.splitlines() if line[:1] == "#" and line[1:2] not in " "]
    values = tomllib.loads("\n".join(line for line in lines if not line.endswith("…")))
    assert set(values) | {"at_once"} == set(Settings.model_fields)
    assert Settings(**values) == Settings()


@pytest.mark.parametrize("name", ["pizarra", "pizarra-guard", "pizarra-recover"])
def test_unit_of_roots_work_when_read_then_closed_without_another_view_of_devices(
    name: str,
) -> None:
    text = (UNITS / f"{name}.service").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for line in ("NoNewPrivileges=yes", "LockPersonality=yes", "RestrictSUIDSGID=yes",
                 "SystemCallArchitectures=native"):  # fmt: skip
        assert line in lines
    # each of these hides device-mapper's devices, or mounts, from LVM and libvirt
    for word in ("ProtectClock", "PrivateDevices", "DevicePolicy", "ProtectSystem"):
        assert not any(line.startswith(word) for line in lines)
        assert word == "DevicePolicy" or word in text, "the unit says why it is open"
