"""Writes docs/policies.md from the table that also checks a classroom's file.

Run: ``python -m tests.meta.classroom_file``.
"""

from __future__ import annotations

from pathlib import Path

from pizarra.service.apply import Declared

FILE = Path(__file__).parents[2] / "docs" / "policies.md"
_HEAD = """# A classroom as a file

`pizarra classroom apply FILE.yaml` makes a classroom, or changes it. A second run changes nothing.
`--dry-run` shows what would change.

The table has all keys. The last nine keys are the *policies* of the classroom. Policies are labels
on the disks, so they hold for the terminal, the pages and the API. `pizarra classroom show` shows
them.

```yaml
classroom: net
template: debian
seats: 12
memory: 2G
after_reset: running
modes: [cold]
reset_by: teachers
undo_hours: 48
minutes: 50
```

| key | if left out | what it says |
|---|---|---|
"""
_TAIL = """
A machine cannot use more than its `memory`, `vcpus` and `disk`. A network of the classroom keeps
seats apart, whatever students do; [security.md](security.md) says what `bridge=` does not. The
classroom's page sets whether students may reset their machine and switch it on. A student keeps two
saved states at most.
"""


def render() -> str:
    """The text of docs/policies.md."""
    rows = []
    for name, field in Declared.model_fields.items():
        default = "needed" if field.is_required() else _default_text(field.default)
        rows.append(f"| `{name}` | {default} | {field.description} |\n")
    return _HEAD + "".join(rows) + _TAIL


def _default_text(value: object) -> str:
    if value in (None, "", 0):
        return ""
    return f"`[{', '.join(value)}]`" if isinstance(value, list) else f"`{value}`"


if __name__ == "__main__":
    FILE.write_text(render(), encoding="utf-8")
