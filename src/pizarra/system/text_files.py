"""Files that a person wrote: a classroom in YAML, a password."""

from __future__ import annotations

from pathlib import Path

from pizarra.errors import BadInput

STDIN = 0


def read_text_file(path: Path | int) -> str:
    """The text without a byte order mark, each line ended by ``\\n``; of a file or of STDIN.

    Raises BadInput.
    """
    try:
        # editors of Windows put a mark first, which is no part of the text
        with open(path, encoding="utf-8-sig", closefd=path != STDIN) as file:
            return file.read()
    except UnicodeDecodeError:
        raise BadInput(
            "{path} cannot be read: it is not UTF-8 text.",
            "Save it as UTF-8, and give it again.",
            path=path,
        ) from None
    except OSError as error:
        raise BadInput("{path} cannot be read: {why}.", path=path, why=error.strerror) from None
