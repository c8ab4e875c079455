"""Do the tools run? A file in PATH proves little: each tool is started once, harmlessly."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pizarra.errors import PizarraError
from pizarra.system.process import Completed, run
from pizarra.system.refusals import reporting_refusals
from pizarra.system.thin_tools import thin_delta_argv

_LIMIT_S = 20
_NOT_STARTED = (126, 127)  # sh(1) and ld.so(8): not executable, or a library is missing
_VERSION = re.compile(r"(?<![\d.])\d+\.\d+(?:\.\d+)*", re.ASCII)
_VERSION_WORDS = {"lvm": "version", "thin_delta": "-V", "debugfs": "-V", "mkfs.vfat": "--help"}
_EMPTY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of starting a tool."""

    complaint: str = ""  # empty when it works
    version: str = ""  # empty when it does not say


def ask_tools(names: Iterable[str]) -> dict[str, Tried]:
    """What came of each of these commands, in the order of names."""
    with ThreadPoolExecutor() as threads:
        return dict(zip(names := sorted(names), threads.map(_try, names), strict=True))


def try_tools(names: Iterable[str]) -> dict[str, str]:
    """Of these commands those that do not work, with what they said, in the order of names."""
    return {name: one.complaint for name, one in ask_tools(names).items() if one.complaint}


def _try(name: str) -> Tried:
    """A tool that starts may answer as it likes: few know --version."""
    try:
        with reporting_refusals():
            complaint = _thin_delta_complaint() if name == "thin_delta" else ""
        asked = _VERSION_WORDS.get(name, "--version")
        done = run([name, asked], timeout_s=_LIMIT_S, check=False)
    except PizarraError as error:
        return Tried(complaint=error.text.format(**error.facts))
    started = done.returncode >= 0 and done.returncode not in _NOT_STARTED
    complaint = complaint or ("" if started else _last_line(done))
    return Tried(complaint=complaint, version=_version(done))


def _version(done: Completed) -> str:
    """``2.03.16`` of "LVM version:     2.03.16(2) (2022-05-18)"."""
    found = _VERSION.search(f"{done.stdout}\n{done.stderr}")
    return found[0] if found else ""


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
