"""Folders that the user of QEMU cannot enter: tried as a user who is not root."""

from __future__ import annotations

import os
from pathlib import Path

from pizarra.compute.libvirt_connection import qemu_user
from pizarra.engine.fitness.look_access import closed_to
from tests.fixtures.libvirt import Libvirt

NOBODY = 65534


def test_folders_when_one_is_closed_then_that_one_and_those_inside(tmp_path: Path) -> None:
    ways = [tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"]
    ways[-1].mkdir(parents=True)
    for one in (*ways, tmp_path, *tmp_path.parents):
        if one.owner() == "root" and one.is_relative_to("/tmp") and one != Path("/tmp"):
            one.chmod(0o755)
    texts = [str(one) for one in ways]
    assert closed_to(NOBODY, NOBODY, texts) == ()
    ways[1].chmod(0o700)
    assert closed_to(NOBODY, NOBODY, texts) == tuple(texts[1:])
    assert closed_to(os.getuid(), os.getgid(), texts) == ()


def test_user_of_qemu_when_libvirt_is_asked_then_the_one_of_its_settings(
    libvirt_host: Libvirt,
) -> None:
    assert qemu_user(libvirt_host.uri) == (0, 0)  # "root" in lab/private_libvirt.py
