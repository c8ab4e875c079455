"""Error codes, from the tree of errors."""

from __future__ import annotations

import inspect

from pizarra.errors import PizarraError
from tools.site.markdown import code, plain, table


def error_pages() -> dict[str, str]:
    """One table of all codes."""
    first: dict[str, type[PizarraError]] = {}
    for one in _tree(PizarraError):
        first.setdefault(one.code, one)
    rows = [[code(name), str(one.exit_status), str(one.http_status), plain(_says(one))]
            for name, one in sorted(first.items())]  # fmt: skip
    return {"error-codes": table(("Code", "Exit status", "HTTP status", "Meaning"), rows)}


def _says(error: type[PizarraError]) -> str:
    if error is PizarraError:
        return "Something failed for which there is no code of its own."
    return inspect.cleandoc(error.__doc__ or "").partition("\n\n")[0]


def _tree(error: type[PizarraError]) -> list[type[PizarraError]]:
    return [error, *(one for child in error.__subclasses__() for one in _tree(child))]
