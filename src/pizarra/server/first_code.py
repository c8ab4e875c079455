"""The code with which the first technician comes in: root makes and shows it, and it works once.

The pages learn the hash of the code alone, from a file of root's that they cannot write. The code
has 80 random bits, so the hash need not be slow. The mark of a used code is in the folder of the
pages: whoever writes there is in already.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from contextlib import suppress

from pydantic import BaseModel, ValidationError

from pizarra.errors import HostNotFit
from pizarra.server.folders import opening_server_folder
from pizarra.settings import Settings

GOOD_S = 3600
_NAME, _USED = "first-code", "first-code-used"
_LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ0123456789"  # Crockford's base 32, but for the order
_GROUPS, _GROUP_LETTERS = 4, 4
_READ_AS = str.maketrans("OIL", "011", "- \t")


class _Kept(BaseModel):
    sha256: str
    until: float  # seconds since 1970


def make_first_code(settings: Settings) -> str:
    """Make a code, in the place of one of before. Raises HostNotFit."""
    groups = (
        "".join(secrets.choice(_LETTERS) for _ in range(_GROUP_LETTERS)) for _ in range(_GROUPS)
    )
    code = "-".join(groups)
    kept = _Kept(sha256=_digest(code), until=time.time() + GOOD_S)
    new, flags = f".{_NAME}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with opening_server_folder(settings) as folder:
        try:
            fd = os.open(new, flags | os.O_CLOEXEC, 0o600, dir_fd=folder)
            with os.fdopen(fd, "w", encoding="ascii") as file:
                os.fchmod(fd, 0o644)  # the pages read the hash
                file.write(kept.model_dump_json())
            os.rename(new, _NAME, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            raise HostNotFit("The first code cannot be kept: {why}.", why=error.strerror) from None
    return code


def is_first_code(settings: Settings, given: str) -> bool:
    """Whether this is the code that works now."""
    kept = _kept(settings)
    return hmac.compare_digest(_digest(given), kept.sha256 if kept else "")


def use_first_code(settings: Settings) -> bool:
    """Use the code up. False for all but the first who do."""
    kept, pages = _kept(settings), settings.pages_folder
    if kept is None:
        return False
    try:
        os.close(os.open(pages / _used(kept), os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return False
    for old in pages.glob(f"{_USED}-*"):
        if old.name != _used(kept):
            with suppress(OSError):
                old.unlink()
    return True


def _kept(settings: Settings) -> _Kept | None:
    """What is known of a code that works now."""
    try:
        text = (settings.server_folder / _NAME).read_text(encoding="ascii")
        kept = _Kept.model_validate_json(text)
    except (OSError, UnicodeDecodeError, ValidationError):
        return None
    is_used = (settings.pages_folder / _used(kept)).exists()
    return None if is_used or time.time() >= kept.until else kept


def _used(kept: _Kept) -> str:
    return f"{_USED}-{kept.sha256[:16]}"


def _digest(code: str) -> str:
    """Of what a person may type for it: small letters, an O for a 0, no dashes."""
    plain = code.upper().translate(_READ_AS)
    return hashlib.sha256(plain.encode(errors="replace")).hexdigest()
