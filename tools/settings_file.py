"""The settings file of the package, on stdout: each setting with its default, commented out."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from pizarra.settings import Settings

_HEAD = """\
# Settings of Pizarra on this host. What is commented out is the default. A variable of the
# environment goes first: PIZARRA_VG for vg. See: man pizarra
"""


def settings_text() -> str:
    """TOML with nothing but comments."""
    parts = [_HEAD]
    for name, field in Settings.model_fields.items():
        about = field.description or ""
        lines = textwrap.wrap(
            about[:1].upper() + about[1:] + ".", 96, initial_indent="# ", subsequent_indent="# "
        )
        parts += ["\n".join([*lines, f"#{name} = {default_text(field)}", ""])]
    return "\n".join(parts)


def default_text(field: FieldInfo) -> str:
    """As TOML writes it; `…` for one that depends on the machine."""
    if field.default_factory is not None:
        return "[]" if field.default_factory is list else "…"
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return json.dumps(str(value) if isinstance(value, Path) else value)


if __name__ == "__main__":
    sys.stdout.write(settings_text())
