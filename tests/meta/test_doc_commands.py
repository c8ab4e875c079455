"""Every command that a document tells people to give is one that its program takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.meta.doc_commands import (
    Told,
    documents,
    find_command,
    parse_command,
    read_commands,
)
from tools.site.build import generated_pages

ROOT = Path(__file__).parents[2]
# Programs of others that documents name. Each is part of a host, or of a reader's own computer.
OTHERS = {
    *("apt-get", "cd", "curl", "dmsetup", "git", "journalctl", "lvconvert", "lvextend", "runuser"),
    *("systemctl", "vgcfgbackup", "vgchange", "vgcreate", "vgextend", "virsh"),
}
UNITS = {one.name for one in (ROOT / "packaging" / "systemd").iterdir()}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))


def all_commands() -> list[Told]:
    pages = {str(one): (ROOT / one).read_text(encoding="utf-8") for one in documents()}
    pages |= {f"generated/{name}.md": text for name, text in generated_pages().items()}
    found = {one for page, text in pages.items() for one in read_commands(text, page)}
    return sorted(found, key=lambda one: (one.page, one.words))


COMMANDS = all_commands()
OURS = [one for one in COMMANDS if one.words[0] == "pizarra"]


def name(told: Told) -> str:
    return f"{told.page}: {told.line}"


def test_commands_when_documents_are_read_then_there_are_many() -> None:
    assert len(OURS) > 150
    assert {"docs/guide.md", "docs/first-steps.md", "docs/troubleshooting.md", "README.md"} <= {
        one.page for one in OURS
    }


@pytest.mark.parametrize("told", [one for one in OURS if one.is_whole], ids=name)
def test_command_of_ours_when_told_whole_then_its_parser_takes_it(told: Told) -> None:
    parse_command(told.words)


@pytest.mark.parametrize("told", [one for one in OURS if not one.is_whole], ids=name)
def test_command_of_ours_when_told_in_part_then_its_options_are_known(told: Told) -> None:
    command, rest = find_command(told.words)
    known = {name for one in command.options for name in one.names}
    assert {word for word in rest if word.startswith("--")} <= known | {"--help"}


@pytest.mark.parametrize("told", [c for c in COMMANDS if c.words[0] != "pizarra"], ids=name)
def test_command_of_others_when_told_then_it_is_known_and_names_what_is_there(told: Told) -> None:
    program, *arguments = told.words
    if program == "make":
        targets = [one for one in arguments if "=" not in one and not one.startswith("-")]
        assert set(targets) <= TARGETS, told
        return
    if "-m" in arguments:
        module = arguments[arguments.index("-m") + 1].replace(".", "/")
        assert any((ROOT / folder / f"{module}.py").exists() for folder in ("", "src")), told
    assert program in OTHERS or (ROOT / program).exists(), told
    if program in ("systemctl", "journalctl"):
        ours = [one for one in arguments if one.startswith("pizarra")]
        units = {one if "." in one else f"{one}.service" for one in ours}
        assert units <= UNITS, told


def test_reading_when_a_page_has_blocks_of_each_kind_then_commands_alone_are_found() -> None:
    text = """
```console
# pizarra reset net
✔ net-01 done
$ cd x && make demo  # a comment
```
```sh
pizarra undo net 2
```
```
$ pizarra status net
net is well
make test
```
```yaml
pizarra: no
```
Say `pizarra status net`, or `pizarra --server https://… --token … status net`.
"""
    assert [one.words for one in read_commands(text)] == [
        ("pizarra", "reset", "net"),
        ("cd", "x"),
        ("make", "demo"),
        ("pizarra", "undo", "net", "2"),
        ("pizarra", "status", "net"),
        ("make", "test"),
        ("pizarra", "status", "net"),
        ("pizarra", "--server", "https://"),
    ]
