"""Tools are tried, not only found."""

from __future__ import annotations

from pathlib import Path

import pytest

from pizarra.engine.fitness.look_tools import try_tools


def test_tools_when_this_machine_has_them_then_none_is_broken() -> None:
    assert try_tools(["thin_delta", "thin_check", "qemu-img", "lvm", "openssl"]) == {}


@pytest.mark.parametrize(
    ("name", "script", "said"),
    [
        ("thin_delta", "echo 'error: unexpected argument' >&2; exit 2", "unexpected argument"),
        ("mcopy", "echo 'mcopy: libx.so: cannot open shared object file' >&2; exit 127", "libx.so"),
        ("debugfs", "kill -ILL $$", "status -4"),
    ],
)
def test_tools_when_one_does_not_work_then_named_with_what_it_said(
    name: str, script: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / name
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    broken = try_tools([name, "openssl"])
    assert list(broken) == [name]
    assert said in broken[name]
