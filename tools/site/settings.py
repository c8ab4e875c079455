"""The settings of a host, from their model."""

from __future__ import annotations

from pizarra.settings import Settings
from tools.settings_file import default_text
from tools.site.markdown import code, sentence, table

_PARTS = (
    ("settings-host", ("",)),
    ("settings-teachers", ("teacher_",)),
    ("settings-server", ("server_", "database")),
)


def settings_pages() -> dict[str, str]:
    """A table a part; a setting is in the part whose beginning its name has."""
    rows: dict[str, list[list[str]]] = {name: [] for name, _ in _PARTS}
    for name, field in Settings.model_fields.items():
        part = next(part for part, begins in reversed(_PARTS) if name.startswith(begins))
        default = default_text(field)
        shown = "by the machine" if default == "…" else code(default)
        rows[part].append([code(name), shown, sentence(field.description or "")])
    return {part: table(("Setting", "Default", "Meaning"), those) for part, those in rows.items()}
