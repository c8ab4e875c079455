"""Every command has help with an example, takes ``--json``, and is in the contract."""

from __future__ import annotations

import re
import shlex

import pytest
import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from pizarra.cli.main import app
from tests.fixtures.command import pizarra

GROUPS = {
    "host": ("check",),
    "template": (
        "import",
        "list",
        "show",
        "maintain",
        "publish",
        "discard",
        "prune",
        "delete",
        "export",
    ),
    "classroom": (
        "create",
        "apply",
        "list",
        "show",
        "resize",
        "upgrade",
        "warm",
        "identify",
        "swap-data",
        "delete",
    ),
    "checkpoint": ("save", "restore", "list", "delete", "hand-out", "export"),
}
VERBS = ("start", "stop", "reset", "undo", "verify", "status", "adopt", "inspect", "recover",
         "report", "guard", "serve", "commands", "freeze", "unfreeze",
         "backup", "restore")  # fmt: skip
CONTRACT = {f"{group} {verb}" for group, verbs in GROUPS.items() for verb in verbs} | {*VERBS}


def commands() -> dict[str, TyperCommand]:
    """Every command by the words that call it."""
    found: dict[str, TyperCommand] = {}
    left: list[tuple[str, object]] = [("", typer.main.get_command(app))]
    while left:
        words, command = left.pop()
        if isinstance(command, TyperGroup):
            left += [(f"{words} {name}".strip(), one) for name, one in command.commands.items()]
        elif isinstance(command, TyperCommand):
            found[words] = command
    return found


COMMANDS = commands()
every_command = pytest.mark.parametrize("words", sorted(COMMANDS))


def options(command: TyperCommand) -> set[str]:
    return {text for one in command.params for text in (*one.opts, *one.secondary_opts)}


def test_commands_when_counted_then_are_those_of_the_contract() -> None:
    assert COMMANDS.keys() - CONTRACT == set()
    assert CONTRACT - COMMANDS.keys() == set()


@every_command
def test_help_when_asked_for_then_has_an_example_that_the_command_takes(words: str) -> None:
    said = pizarra(*words.split(), "--help")
    assert (said.status, said.err) == (0, "")
    examples = re.findall(r"Example: (pizarra .+)", said.out)
    assert examples, said.out
    for example in examples:
        argv = shlex.split(example)[1:]
        assert argv[: len(words.split())] == words.split()
        known = options(COMMANDS[words])
        assert {part for part in argv if part.startswith("-")} <= known


@every_command
def test_json_when_a_command_is_given_then_it_takes_it(words: str) -> None:
    assert "--json" in options(COMMANDS[words])


@every_command
def test_options_when_listed_then_each_says_what_it_does(words: str) -> None:
    silent = [
        one.name
        for one in COMMANDS[words].params
        if isinstance(one, TyperOption) and not (one.help or "").strip()
    ]
    assert silent == []


@pytest.mark.parametrize("argv", [["--no-such"], ["no-such"], ["reset"], ["classroom", "create"]])
def test_usage_when_wrong_then_exit_2_and_no_traceback(argv: list[str]) -> None:
    said = pizarra(*argv)
    assert said.status == 2
    assert said.out == ""
    assert "Traceback" not in said.err
