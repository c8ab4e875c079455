"""tools/setup on a machine that lacks something: one line says what."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_NO_DNS = """\
echo "W: Failed to fetch http://deb.debian.org/debian/dists/bookworm/InRelease \
Temporary failure resolving 'deb.debian.org'"
"""
_REFUSED = "echo 'E: Failed to fetch http://mirror/x  Could not connect to mirror:80'"
_LOCATE = 'for one in a b c d e f g h i j; do echo "E: Unable to locate package $one"; done'


def fake(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("update", "said"),
    [
        (_NO_DNS, "setup: no name server knows deb.debian.org: mend DNS"),
        (_REFUSED, "E: Failed to fetch http://mirror/x  Could not connect to mirror:80"),
    ],
    ids=["no name server", "no mirror"],
)
def test_setup_when_no_mirror_is_reached_then_one_line_says_why(
    update: str, said: str, tmp_path: Path
) -> None:
    """apt-get update ends with 0 there, and each package is then one that it cannot locate."""
    fake(tmp_path, "dpkg-query", "exit 1")
    for_install = f'case "$*" in *install*) {_LOCATE}; exit 100 ;; *) {update} ;; esac'
    fake(tmp_path, "apt-get", for_install)
    path = {"PATH": f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": str(tmp_path)}
    argv = [str(ROOT / "tools" / "setup")]
    done = subprocess.run(argv, env=os.environ | path, capture_output=True, text=True, check=False)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, line.startswith(said)) == (3, True), done.stderr
