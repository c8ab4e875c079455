"""The commands, from the tree of the command line and the table that declares them."""

from __future__ import annotations

from pizarra.service.commands.declaration import Command as Declared
from pizarra.service.commands.declaration import Effect
from pizarra.service.commands.table import all_commands
from tools.command_tree import NAME, Command, Option, commands
from tools.site.markdown import code, plain, table

_ELSEWHERE = "host"  # the page of commands that are not in the table
_TITLES = {
    "seats": "Commands for machines",
    "classroom": "Commands for classrooms",
    "checkpoint": "Commands for checkpoints",
    "template": "Commands for templates",
    "host": "Commands for the host",
}
_WHO = {
    "student": "For students, teachers and technicians.",
    "teacher": "For teachers of the classroom, and technicians.",
    "technician": "For technicians.",
}
_EFFECTS = {
    Effect.DESTROYS: "On a terminal the command asks before it destroys something.",
    Effect.RELEASES_CONSOLES: "Whoever looks at these machines in a browser is connected anew.",
}


def command_pages() -> dict[str, str]:
    """A page a noun, and a list of the options of ``pizarra`` itself."""
    table_ = {one.name: one for one in all_commands()}
    parts: dict[str, list[str]] = {}
    root, *others = commands()
    for one in others:
        if not one.subcommands:
            declared = table_.get(" ".join(one.words))
            parts.setdefault(_page_of(declared), []).append(_section(one, declared))
    pages = {
        f"commands-{page}": f"# {_TITLES.get(page, page.capitalize())}\n\n" + "\n".join(sections)
        for page, sections in parts.items()
    }
    return {**pages, "commands-options": _options("Option", root.options)}


def _page_of(declared: Declared | None) -> str:
    return declared.handler.__module__.rpartition(".")[2] if declared else _ELSEWHERE


def _section(command: Command, declared: Declared | None) -> str:
    arguments = [one for one in command.options if one.is_argument]
    options = [one for one in command.options if not one.is_argument]
    usage = [NAME, *command.words, *map(_placed, arguments), *(["[OPTIONS]"] if options else [])]
    parts = [
        f"## {' '.join((NAME, *command.words))}\n",
        *(f"{plain(text)}\n" for text in command.paragraphs),
        f"```text\n{' '.join(usage)}\n```\n",
        *(f"```console\n# {example}\n```\n" for example in command.examples),
        _options("Argument", arguments),
        _options("Option", options),
        *_rights(declared),
    ]
    return "\n".join(part for part in parts if part)


def _placed(argument: Option) -> str:
    return argument.names[0] if argument.is_required else f"[{argument.names[0]}]"


def _options(head: str, options: list[Option] | tuple[Option, ...]) -> str:
    rows = [[_names(one), plain(one.help)] for one in options]
    return table((head, "Meaning"), rows)


def _names(option: Option) -> str:
    value = f" {option.value}" if option.value and not option.is_argument else ""
    return ", ".join(code(f"{name}{value}") for name in option.names)


def _rights(declared: Declared | None) -> list[str]:
    if declared is None:
        return ["For root on the host.\n"]
    route = declared.route
    says = [_WHO[str(declared.who)]]
    says += [text for effect, text in _EFFECTS.items() if effect in declared.effects]
    return [f"{' '.join(map(plain, says))}\n", f"REST: `{route.method} /api/v1{route.path}`\n"]
