"""Do the tools run? A file in PATH proves little: each tool is started once, harmlessly."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pizarra.errors import PizarraError
from pizarra.system.process import Completed, run
from pizarra.system.refusals import reporting_refusals
from pizarra.system.thin_tools import thin_delta_argv

_LIMIT_S = 20
_NOT_STARTED = (126, 127)  # sh(1) and ld.so(8): not executable, or a library is missing
_EMPTY_BYTES = 1 << 20


def try_tools(names: Iterable[str]) -> dict[str, str]:
    """Of these commands those that do not work, with what they said, in the order of names."""
    with ThreadPoolExecutor() as threads:
        said = dict(zip(names := sorted(names), threads.map(_complaint, names), strict=True))
    return {name: complaint for name, complaint in said.items() if complaint}


def _complaint(name: str) -> str:
    """Empty when the tool works. One that starts may answer as it likes: few know --version."""
    try:
        if name == "thin_delta":
            with reporting_refusals():
                return _thin_delta_complaint()
        done = run([name, "--version"], timeout_s=_LIMIT_S, check=False)
    except PizarraError as error:
        return error.text.format(**error.facts)
    started = done.returncode >= 0 and done.returncode not in _NOT_STARTED
    return "" if started else _last_line(done)


def _thin_delta_complaint() -> str:
    """Proofs hang on its options, which changed between versions: asked as a proof asks it.

    A file of zeros holds no metadata. A thin_delta that understood us says so of its superblock; or
    that it could not open the file, where the file system refuses O_DIRECT, as tmpfs may.
    """
    with tempfile.NamedTemporaryFile(prefix="pizarra-") as empty:
        empty.truncate(_EMPTY_BYTES)
        argv = thin_delta_argv(Path(empty.name), (1, 2))
        done = run(argv, timeout_s=_LIMIT_S, check=False)
    is_understood = "superblock" in done.stderr or "'open' failed" in done.stderr
    return "" if is_understood else _last_line(done)


def _last_line(done: Completed) -> str:
    said = (done.stderr or done.stdout).strip().splitlines()
    return said[-1].strip() if said else f"status {done.returncode}"
