"""Fixtures of the tests on full Debian hosts: each suite of HOST_SUITES (bookworm,trixie) in turn.

They run on this machine and speak to a host that they boot; `make host-lab` makes its disk. One
host at a time, and minutes a test: in LONG=1.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.host.fresh import fresh_host
from lab.host.image import HostImage, base_image
from lab.host.install import copy_in, installed_image
from lab.host.machine import RunningHost
from lab.host.suite import Suite
from lab.session import keep_logs, run_folder
from tests.debian.health import mark_journal

SUITES = [Suite(name) for name in os.environ.get("HOST_SUITES", "bookworm,trixie").split(",")]
GUEST = Path(__file__).parents[2] / "build/guests/bootsector.img"


@pytest.fixture(scope="module", params=SUITES, ids=str)
def suite(request: pytest.FixtureRequest) -> Suite:
    suite: Suite = request.param
    return suite


@contextmanager
def booted(image: HostImage, request: pytest.FixtureRequest) -> Iterator[RunningHost]:
    """A fresh host with a guest's image in /root; its logs are kept when a test on it fails."""
    failed_before = request.session.testsfailed
    with run_folder() as folder:
        try:
            with fresh_host(image, folder) as host:
                copy_in(host, GUEST, "/root/guest.img")
                mark_journal(host)
                yield host
                if request.session.testsfailed > failed_before:
                    host.keep_journal()
        finally:
            if request.session.testsfailed > failed_before:
                keep_logs(folder)


@pytest.fixture(scope="module")
def bare_host(suite: Suite, request: pytest.FixtureRequest) -> Iterator[RunningHost]:
    """As Debian installs it."""
    with booted(base_image(suite), request) as host:
        yield host


@pytest.fixture(scope="module")
def host(suite: Suite, request: pytest.FixtureRequest) -> Iterator[RunningHost]:
    """With Pizarra installed: from its package, when `make deb` has made one."""
    with tempfile.TemporaryDirectory() as logs:
        image = installed_image(suite, Path(logs))
    with booted(image, request) as host:
        yield host
