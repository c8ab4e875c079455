"""Shell completion from the CLI: `python -m tools.completion FOLDER` writes one file a shell.

The words are written down when the package is built, so that the Tab key starts no Python.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.command_tree import NAME, Command, commands

_BASH = """\
# bash completion of pizarra; made from the command line by tools/completion.py
_pizarra() {{
    local path="" word words
    COMPREPLY=()
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$path $word" in
{steps}
        esac
    done
    case "$path|${{COMP_WORDS[COMP_CWORD-1]}}" in
{values}
    *)
        case "$path" in
{words}
        esac ;;
    esac
    local IFS=$'\\n'
    COMPREPLY=($(IFS=' '; compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _pizarra pizarra
"""
_ZSH = """\
#compdef pizarra
# zsh completion of pizarra; made from the command line by tools/completion.py
local here="" word
local -a offered
for word in "${{(@)words[2,CURRENT-1]}}"; do
    case "$here $word" in
{steps}
    esac
done
case "$here" in
{words}
esac
_describe pizarra offered || _files
"""


def bash_script(known: list[Command]) -> str:
    """For bash: the words that may follow, by the command typed so far."""
    steps = [f'        "{_above(c)} {c.words[-1]}") path="{_path(c)}" ;;' for c in known if c.words]
    values = [
        f'    "{_path(c)}|{name}") words="{" ".join(option.choices)}" ;;'
        for c in known
        for option in c.options
        if option.choices
        for name in option.names
    ]
    words = [f'        "{_path(c)}") words="{" ".join(_offered(c))}" ;;' for c in known]
    return _BASH.format(
        steps="\n".join(steps), values="\n".join(values), words="\n".join(words)
    ).replace("\n\n", "\n")


def zsh_script(known: list[Command]) -> str:
    """For zsh: the same with what each word is for."""
    steps = [f'    "{_above(c)} {c.words[-1]}") here="{_path(c)}" ;;' for c in known if c.words]
    words = []
    for command in known:
        described = " ".join(_quote(f"{w}:{text}") for w, text in _described(command, known))
        words.append(f'"{_path(command)}") offered=({described}) ;;')
    return _ZSH.format(steps="\n".join(steps), words="\n".join(words))


def fish_script(known: list[Command]) -> str:
    """For fish: a line for each word, with the condition under which it may come."""
    lines = ["# fish completion of pizarra; made from the command line by tools/completion.py"]
    for command in known:
        when = " ".join(["__fish_seen_subcommand_from", command.words[-1]]) if command.words else ""
        if len(command.words) == 2:
            when = f"__fish_seen_subcommand_from {command.words[0]}; and {when}"
        children = " ".join(command.subcommands)
        if children:
            not_yet = f"not __fish_seen_subcommand_from {children}"
            deeper = f"{when}; and {not_yet}" if when else "__fish_use_subcommand"
            for word, text in _described_children(command, known):
                lines.append(_fish(deeper, f"-f -a {word}", text))
        for option in command.options:
            for name in option.names if not option.is_argument else ():
                flag = f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
                value = f" -x -a {_quote(' '.join(option.choices))}" if option.choices else ""
                lines.append(_fish(when or "__fish_use_subcommand", flag + value, option.help))
    return "\n".join(lines) + "\n"


def _fish(when: str, what: str, text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"complete -c {NAME} -n {_quote(when)} {what} -d '{quoted}'"


def _path(command: Command) -> str:
    return " ".join(command.words)


def _above(command: Command) -> str:
    return " ".join(command.words[:-1])


def _offered(command: Command) -> list[str]:
    options = (name for one in command.options if not one.is_argument for name in one.names)
    return [*command.subcommands, *options, "--help"]


def _described(command: Command, known: list[Command]) -> list[tuple[str, str]]:
    options = [one for one in command.options if not one.is_argument]
    return [
        *_described_children(command, known),
        *((name, one.help) for one in options for name in one.names),
        ("--help", "Show help and exit."),
    ]


def _described_children(command: Command, known: list[Command]) -> list[tuple[str, str]]:
    by_words = {one.words: one.summary for one in known}
    return [(name, by_words[*command.words, name]) for name in command.subcommands]


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def write_scripts(folder: Path) -> None:
    """Files named as each shell looks for them."""
    folder.mkdir(parents=True, exist_ok=True)
    known = commands()
    (folder / NAME).write_text(bash_script(known), encoding="utf-8")
    (folder / f"_{NAME}").write_text(zsh_script(known), encoding="utf-8")
    (folder / f"{NAME}.fish").write_text(fish_script(known), encoding="utf-8")


if __name__ == "__main__":
    write_scripts(Path(sys.argv[1]))
