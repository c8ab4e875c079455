"""What the attacks have in common: a user who owns nothing of root's, and root's secrets."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.attack.school import School
from tests.attack.served import USER, Served, serving

SECRET = b"root's secret. " * 512


@dataclass(frozen=True, slots=True)
class Secrets:
    """A folder and a file of root's, and how they were."""

    folder: Path
    file: Path

    def state(self) -> list[tuple[str, int, int, int, bytes]]:
        """Names, owners, modes and content, of all that is root's."""
        found = []
        for path in (self.folder, *sorted(self.folder.rglob("*"))):
            seen = path.lstat()
            data = path.read_bytes() if path.is_file() else b""
            found.append((str(path), seen.st_uid, seen.st_gid, seen.st_mode, data))
        return found


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder of root's that everybody can read."""
    with tempfile.TemporaryDirectory(prefix="pizarra-attack-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A server that a file of tests has for itself."""
    with tempfile.TemporaryDirectory(prefix="pizarra-attack-") as name:
        Path(name).chmod(0o755)
        with serving(Path(name)) as found:
            yield found


@pytest.fixture(scope="module")
def school(served: Served) -> School:
    """The people of the server."""
    return School(served)


@pytest.fixture
def secrets(place: Path) -> Secrets:
    folder = place / "roots"
    folder.mkdir(mode=0o700)
    file = folder / "shadow"
    file.write_bytes(SECRET)
    file.chmod(0o600)
    return Secrets(folder, file)


def uid_of(name: str = USER) -> int:
    return pwd.getpwnam(name).pw_uid


def give(path: Path) -> Path:
    """Make a folder that belongs to the user."""
    path.mkdir(parents=True, exist_ok=True)
    os.chown(path, uid_of(), -1)
    return path


def as_user(script: str, *argv: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run Python as the user, in a process of theirs."""
    return subprocess.run(
        ["/usr/bin/python3", "-c", script, *map(str, argv)],
        user=uid_of(), group=uid_of(), extra_groups=[], check=check, text=True,
        capture_output=True, cwd="/",
    )  # fmt: skip


@contextmanager
def beside_as_user(script: str, *argv: object) -> Iterator[None]:
    """The same, going on for as long as the block lasts."""
    process = subprocess.Popen(
        ["/usr/bin/python3", "-c", script, *map(str, argv)],
        user=uid_of(), group=uid_of(), extra_groups=[], cwd="/", stderr=sys.stderr,
    )  # fmt: skip
    try:
        yield
    finally:
        process.kill()
        process.wait()
