"""docs/policies.md, from the one table that also checks a classroom's file.

python -m tests.meta.classroom_file    writes it
"""

from __future__ import annotations

from pathlib import Path

from pizarra.service.apply import Declared

FILE = Path(__file__).parents[2] / "docs" / "policies.md"
_HEAD = """# A classroom as a file

`pizarra classroom apply FILE.yaml` makes a classroom or changes it; twice changes nothing, and
`--dry-run` shows what would change. These are all the keys there are. The last five are its
*policies*: they stand on its seats as labels, so they hold for the terminal, the pages and the API
alike, and `pizarra classroom show` tells them.

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
What limits a student's use of the host are `memory`, `vcpus` and `disk`, which a machine cannot
exceed, and the network, which keeps seats apart whatever they do. How many checkpoints a student
may keep, and whether students may restart their machine or save checkpoints, is set on the
classroom's page.
"""


def written() -> str:
    """The whole file."""
    rows = []
    for name, field in Declared.model_fields.items():
        default = "needed" if field.is_required() else _shown(field.default)
        rows.append(f"| `{name}` | {default} | {field.description} |\n")
    return _HEAD + "".join(rows) + _TAIL


def _shown(value: object) -> str:
    if value in (None, "", 0):
        return ""
    return f"`[{', '.join(value)}]`" if isinstance(value, list) else f"`{value}`"


if __name__ == "__main__":
    FILE.write_text(written(), encoding="utf-8")
