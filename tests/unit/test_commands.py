"""The table of commands: what is in it, and that one entry is all that a command needs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from pizarra.errors import BadInput
from pizarra.model.facts import Power
from pizarra.service.commands.declaration import Arguments, Command, Effect, Scope, Who, command
from pizarra.service.commands.table import all_commands, find_command
from pizarra.service.context import Context
from tests.fixtures.command import pizarra
from tests.unit.test_reset import School

COMMANDS = all_commands()
every_command = pytest.mark.parametrize("one", COMMANDS, ids=lambda one: one.name)


class Wish(Arguments):
    """Nothing but a number."""

    number: int = 1


@pytest.fixture
def school(monkeypatch: pytest.MonkeyPatch) -> Iterator[School]:
    """Five seats in memory, and ``pizarra`` on that host."""
    school = School()
    host = school.context.host
    monkeypatch.setattr(
        "pizarra.service.context.context_here", lambda emit, wait_s: Context(host, emit, wait_s)
    )
    yield school


def test_table_when_read_then_each_name_and_each_address_is_there_once() -> None:
    routes = [(one.route.method, one.route.path) for one in COMMANDS]
    routes += [(one.plan_route.method, one.plan_route.path) for one in COMMANDS if one.plan_route]
    assert len({one.name for one in COMMANDS}) == len(COMMANDS)
    assert len(set(routes)) == len(routes)


@every_command
def test_command_when_declared_then_its_address_names_its_arguments_and_its_help_an_example(
    one: Command,
) -> None:
    assert set(one.route.names) <= set(one.arguments.model_fields)
    assert f"Example: pizarra {one.name}" in one.help
    assert find_command(one.name) is one
    assert one.is_question == (one.route.method == "GET")
    assert (one.plan is None) == (one.plan_route is None)


def test_command_when_it_has_an_unknown_argument_then_it_is_named() -> None:
    assert {one.arguments.model_config.get("extra") for one in COMMANDS} == {"forbid"}
    with pytest.raises(BadInput, match="The argument nonsense of recover cannot be used"):
        find_command("recover").parse({"nonsense": 1})


def test_command_when_nobody_knows_it_then_says_where_all_are() -> None:
    for name in ("no-such", "classroom no-such", "nothing of the kind"):
        with pytest.raises(BadInput, match="There is no command"):
            find_command(name)


def test_entry_when_made_of_a_function_then_it_has_all_that_every_face_needs() -> None:
    @command("count", who=Who.TEACHER, scope=Scope.READ, route="GET /count")
    def count(context: Context, wish: Wish) -> int:
        """Count."""
        _ = context
        return wish.number + 1

    assert count(School().context, {"number": 2}) == 3
    assert count.to_json() == {
        "name": "count",
        "arguments": Wish.model_json_schema(),
        "effects": [],
        "who": "teacher",
    }
    with pytest.raises(BadInput, match="The argument number of count cannot be used"):
        count(School().context, {"number": "two"})
    with pytest.raises(BadInput, match="has no plan"):
        count(School().context, {}, dry_run=True)


def test_audit_when_a_password_was_given_then_it_is_not_among_the_facts() -> None:
    given = {"classroom": "net", "user": "student", "password_hash": "$6$secret"}
    facts = find_command("classroom identify").parse(given).facts()
    assert facts == {"classroom": "net", "user": "student"}


def test_commands_when_asked_for_in_json_then_it_is_the_table() -> None:
    document = pizarra("commands", "--json").document
    assert [one["name"] for one in document["commands"]] == [one.name for one in COMMANDS]
    create = next(one for one in document["commands"] if one["name"] == "classroom create")
    assert create["who"] == "teacher"
    assert Effect.ADDS_CLASSROOM in create["effects"]
    assert create["arguments"]["required"] == ["classroom", "template", "seats"]
    assert "classroom create" in pizarra("commands").out


def test_freeze_when_given_at_the_terminal_then_machines_stand_still_until_they_go_on(
    school: School,
) -> None:
    assert pizarra("start", "net", "1-2").status == 0
    said = pizarra("freeze", "net", "1-3", "--json")
    assert said.seats == {"net-01": "done", "net-02": "done", "net-03": "unchanged"}
    assert [school.power(number) for number in (1, 2, 3)] == [Power.PAUSED, Power.PAUSED, Power.OFF]
    assert pizarra("unfreeze", "net").out.startswith("5 of 5 machines done")
    assert [school.power(number) for number in (1, 2)] == [Power.RUNNING, Power.RUNNING]
    assert pizarra("freeze", "net", "").status == 2, "an empty text is no list of seats"


def test_agent_when_imported_then_neither_django_nor_a_database_is() -> None:
    code = "import sys, pizarra.agent.door, pizarra.service.commands.table as t; t.all_commands()"
    banned = "{'django', 'ninja', 'sqlite3', 'psycopg', 'pizarra.server'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", f"{code}; print({banned})"], capture_output=True,
                          text=True, check=True)  # fmt: skip
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("argv", [["--version"], ["--help"], ["status", "--help"]])
def test_command_when_it_only_says_something_then_it_does_not_import_what_works_on_hosts(
    argv: list[str],
) -> None:
    code = (
        "import sys\n"
        "from pizarra.cli.main import run\n"
        f"sys.argv = ['pizarra', *{argv!r}]\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        "heavy = {'rich', 'libvirt', 'pizarra.engine.host'} & set(sys.modules)\n"
        "print(heavy if '--help' != sys.argv[1] else {'rich'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()", done.stdout
