"""Man pages from the CLI: `python -m tools.manual FOLDER`, a page a command, in section 1."""

from __future__ import annotations

import sys
from pathlib import Path

from pizarra import __version__
from tools.command_tree import NAME, Command, Option, commands

_STATUS = (
    ("0", "Every seat is done or unchanged."),
    ("1", "Some seat is not."),
    ("2", "Bad usage or input."),
    ("3", "This host is not fit."),
    ("4", "Busy: somebody else works on the same machines."),
)


def write_pages(folder: Path) -> list[Path]:
    """Raises nothing of ours; the pages, as written."""
    folder.mkdir(parents=True, exist_ok=True)
    known = commands()
    pages = []
    for command in known:
        page = folder / f"{command.page}.1"
        page.write_text(page_text(command, known), encoding="utf-8")
        pages.append(page)
    return pages


def page_text(command: Command, known: list[Command]) -> str:
    """One page in the language of man(7)."""
    title = command.page.upper()
    parts = [f'.TH "{title}" "1" "" "Pizarra {__version__}" "Pizarra"', ".nh"]
    parts += [".SH NAME", f"{_roff(command.page)} \\- {_roff(_first_sentence(command.summary))}"]
    parts += [".SH SYNOPSIS", _synopsis(command), ".SH DESCRIPTION"]
    parts += [line for text in command.paragraphs for line in (".PP", _roff(text))]
    parts += _options("ARGUMENTS", [one for one in command.options if one.is_argument])
    parts += _options("OPTIONS", [one for one in command.options if not one.is_argument])
    parts += _subcommands(command, known) + _examples(command)
    if not command.subcommands:
        parts += [".SH EXIT STATUS"]
        parts += [line for status, says in _STATUS for line in (".TP", status, _roff(says))]
    if not command.words:
        parts += [".SH FILES", ".TP", "/etc/pizarra/pizarra.toml", "The settings of this host."]
    parts += [".SH SEE ALSO", _see_also(command, known)]
    return "\n".join(parts) + "\n"


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".:")


def _synopsis(command: Command) -> str:
    words = [f"\\fB{_roff(' '.join((NAME, *command.words)))}\\fR"]
    if any(not one.is_argument for one in command.options):
        words.append("[\\fIOPTIONS\\fR]")
    for one in command.options:
        if one.is_argument:
            name = f"\\fI{_roff(one.names[0])}\\fR"
            words.append(name if one.is_required else f"[{name}]")
    if command.subcommands:
        words.append("\\fICOMMAND\\fR …")
    return " ".join(words)


def _options(heading: str, options: list[Option]) -> list[str]:
    lines = [f".SH {heading}"] if options else []
    for one in options:
        names = ", ".join(f"\\fB{_roff(name)}\\fR" for name in one.names)
        value = f" \\fI{_roff(one.value)}\\fR" if one.value and not one.is_argument else ""
        lines += [".TP", f"{names}{value}", _roff(one.help) or "See above."]
    return lines


def _subcommands(command: Command, known: list[Command]) -> list[str]:
    children = {(*command.words, name) for name in command.subcommands}
    lines = [".SH COMMANDS"] if children else []
    for child in known:
        if child.words in children:
            lines += [".TP", f"\\fB{_roff(child.page)}\\fR(1)", _roff(child.summary)]
    return lines


def _examples(command: Command) -> list[str]:
    lines = [".SH EXAMPLES"] if command.examples else []
    for example in command.examples:
        lines += [".nf", _roff(example), ".fi"]
    return lines


def _see_also(command: Command, known: list[Command]) -> str:
    above = command.words[:-1]
    others = [one for one in known if one.words == above and one is not command]
    pages = [*(one.page for one in others), *(["virsh", "lvs"] if not others else [])]
    return ", ".join(f"\\fB{_roff(page)}\\fR({'8' if page == 'lvs' else '1'})" for page in pages)


def _roff(text: str) -> str:
    """Text that man(7) takes for text."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{escaped}" if escaped.startswith((".", "\\(aq")) else escaped


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
