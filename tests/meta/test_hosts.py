"""Every command is used on a full Debian host."""

from __future__ import annotations

import re
from pathlib import Path

from tools.command_tree import NAME, commands

ROOT = Path(__file__).parents[2]
_AS_A_UNIT = {"serve"}  # systemctl start pizarra


def test_commands_when_counted_then_the_tests_on_full_hosts_use_each() -> None:
    sources = (ROOT / "tests/debian").glob("*.py")
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    used = set(re.findall(rf"{NAME} ([a-z -]+)", text))
    known = {" ".join(one.words) for one in commands() if not one.subcommands} - _AS_A_UNIT
    missing = {one for one in known if not any(f"{said} ".startswith(f"{one} ") for said in used)}
    assert missing == set()


def test_commands_when_a_test_on_full_hosts_runs_one_then_its_options_are_there() -> None:
    """Such a test is run before a release only, so a wrong word in it is found here."""
    known = {
        " ".join(one.words): {name for option in one.options for name in option.names}
        for one in commands()
    }
    wrong = []
    for path in (ROOT / "tests/debian").glob("*.py"):
        for said in re.findall(rf"{NAME} ([a-z][^\n;&|\"]+)", path.read_text(encoding="utf-8")):
            words = said.split()
            name = next((one for n in (2, 1) if (one := " ".join(words[:n])) in known), None)
            if name:
                options = {word for word in words if word.startswith("--")}
                wrong += [f"{name} {one}" for one in options - known[name]]
    assert wrong == []
