"""What a Linux system's own files say of who it is: for guests that nobody could ask to write it.

Texts are Latin-1, so that whatever bytes are in a file stay what they are.
"""

from __future__ import annotations

import re

from pizarra.planner.identity import Person

_FIRST_USER, _LAST_USER = 1000, 59_999
_HOST_NAME = re.compile(r"[\w.-]{1,253}", re.ASCII)  # hostname(7)
_USER_ID = re.compile("[0-9]{1,10}", re.ASCII)


def hosts(text: str, old: str, new: str) -> str:
    """/etc/hosts with the new name in the place of the old one, or on a line of its own.

    What a guest calls its old name may be a megabyte of anything: then it had none.
    """
    is_name = _HOST_NAME.fullmatch(old)
    word = re.compile(rf"(?<![\w.-]){re.escape(old)}(?![\w-])") if is_name else None
    if word and word.search(text):
        return word.sub(new, text)
    return f"{text.rstrip()}\n127.0.1.1 {new}\n".lstrip("\n")


def user_id(passwd: str, user: str) -> tuple[int, bool]:
    """The number of a user, and whether it is new: the first that is free."""
    ids = {line.split(":")[0]: int(line.split(":")[2]) for line in _rows(passwd, 3)}
    if user in ids:
        return ids[user], False
    people = [one for one in ids.values() if _FIRST_USER <= one <= _LAST_USER]
    return max([_FIRST_USER - 1, *people]) + 1, True


def accounts(files: dict[str, str], person: Person, number: int, today: int) -> dict[str, str]:
    """passwd, shadow, group and gshadow with the person's account; those that there are."""
    user = person.user
    rows = {
        "passwd": f"{user}:x:{number}:{number}::/home/{user}:/bin/bash",
        "shadow": f"{user}:{person.password_hash}:{today}:0:99999:7:::",
        "group": f"{user}:x:{number}:",
        "gshadow": f"{user}:!::",
    }
    return {name: _with_row(text, user, rows[name], name) for name, text in files.items()}


def _with_row(text: str, user: str, row: str, name: str) -> str:
    """A user who is there keeps everything but the password."""
    lines = text.splitlines()
    at = next((n for n, line in enumerate(lines) if line.startswith(f"{user}:")), None)
    if at is None:
        lines.append(row)
    elif name == "shadow":
        lines[at] = ":".join([*row.split(":")[:2], *lines[at].split(":")[2:]])
    return "\n".join(lines) + "\n"


def _rows(text: str, fields: int) -> list[str]:
    rows = [line for line in text.splitlines() if line.count(":") >= fields]
    return [row for row in rows if _USER_ID.fullmatch(row.split(":")[2])]
