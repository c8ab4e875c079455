"""What the system refuses is an error with a next step: a full, read-only or closed file system."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pizarra.errors import BadInput, PizarraError, StorageFault
from pizarra.model.sentence import N_

_HINTS = {
    errno.ENOSPC: N_("Make room in its file system (df -h; df -i), then give the command again."),
    errno.EFBIG: N_("Allow larger files: ulimit -f"),
    errno.EDQUOT: N_("Raise the quota of its file system, then give the command again."),
    errno.EROFS: N_("Its file system is mounted read-only; see why: dmesg | tail"),
    errno.EACCES: N_("See who may do that: namei -l {path}"),
    errno.EPERM: N_("See whether it is protected: lsattr -d {path}"),
    errno.EIO: N_("Its disk fails; see: dmesg | tail"),
    errno.EMFILE: N_("Allow more open files: ulimit -n"),
    errno.ENFILE: N_("Allow more open files: sysctl fs.file-max"),
}


def fault_of(error: OSError, path: object = "") -> PizarraError | None:
    """What a person can mend; None for anything else, which is a mistake of ours. ``path`` counts
    when the error names none."""
    where = error.filename or path
    if hint := hint_of(error):
        text = N_("{path} cannot be written or read: {why}.")
        return StorageFault(text, hint, path=where or "-", why=error.strerror)
    if not isinstance(error, FileNotFoundError) or where:
        return None
    if _is_folder_gone():
        return BadInput(
            "The folder that this command was given in is gone.",
            "Change to another one: cd; and name files with their whole path.",
        )
    if "temporary directory" in str(error.strerror):  # tempfile tried all that it knows
        return StorageFault(
            "No file can be written to /tmp, nor to /var/tmp.",
            "Make room there (df -h /tmp; df -i /tmp), then give the command again.",
        )
    return None


def hint_of(error: OSError) -> str:
    """What to do, over ``path``; empty for an error that is none of these."""
    return _HINTS.get(error.errno or 0, "")


def _is_folder_gone() -> bool:
    with suppress(FileNotFoundError):
        Path.cwd()
        return False
    return True


@contextmanager
def reporting_refusals(path: object = "") -> Iterator[None]:
    """What can be mended is raised as StorageFault or BadInput, with what to do."""
    try:
        yield
    except OSError as error:
        fault = fault_of(error, path)
        if fault is None:
            raise
        raise fault from None
