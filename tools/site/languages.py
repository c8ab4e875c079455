"""Which pages and texts have a Spanish translation."""

from __future__ import annotations

import re

ENGLISH_ONLY = frozenset(
    {
        "architecture.md",
        "contributing.md",
        "formats.md",
        "formats-journal.md",
        "formats-labels.md",
        "hosts.md",
        "performance.md",
        "reliability.md",
        "rest-operations.md",
        "security.md",
    }
)
# pages that must be whole in Spanish: what a teacher reads, and whoever begins
WHOLE = frozenset({"index.md", "first-steps.md", "guide.md", "dashboard.md", "troubleshooting.md"})
NOTE = "Esta página está solo en inglés."
# what the theme and Sphinx say in English only, as it stands in their pages
THEME_WORDS = {
    "<title>Contents</title>": "<title>Contenido</title>",
    "<title>Menu</title>": "<title>Menú</title>",
    "<title>Expand</title>": "<title>Desplegar</title>",
    "<title>Light mode</title>": "<title>Claro</title>",
    "<title>Dark mode</title>": "<title>Oscuro</title>",
    "<title>Auto light/dark, in light mode</title>": "<title>Automático, ahora claro</title>",
    "<title>Auto light/dark, in dark mode</title>": "<title>Automático, ahora oscuro</title>",
    "Toggle site navigation sidebar": "Mostrar u ocultar las páginas",
    "Toggle table of contents sidebar": "Mostrar u ocultar el contenido de la página",
    "Toggle Light / Dark / Auto color theme": "Colores claros, oscuros o automáticos",
    "Toggle navigation of": "Mostrar u ocultar",
    "Link to this heading": "Enlace a este apartado",
    "Skip to content": "Ir al contenido",
    "On this page": "En esta página",
    "<span>Back to top</span>": "<span>Volver arriba</span>",
    "<span>Next</span>": "<span>Siguiente</span>",
    "Previous": "Anterior",
}
_SAME = re.compile(r"`[^`]*`|^pizarra [a-z -]+$|\bREST\b|!?\[\]\([^)]*\)")


def is_translatable(text: str) -> bool:
    """Whether there are words beside code, names of commands and numbers."""
    return any(letter.isalpha() for letter in _SAME.sub("", text))
