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
