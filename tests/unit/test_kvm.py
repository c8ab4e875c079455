"""The KVM probe: its guest is right, its verdict is about what ran and not about a file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pizarra.system import kvm
from pizarra.system.kvm import KvmVerdict, kvm_works, probe_kvm, run_probe_guest
from pizarra.system.process import run

SOURCE = Path(kvm.__file__).with_name("kvm_probe.S")
GENEROUS_S = 60.0


def qemu_children() -> set[int]:
    """Our own children that are QEMU."""
    tasks = Path("/proc/self/task").glob("*/children")
    pids = {int(pid) for task in tasks for pid in task.read_text().split()}
    return {pid for pid in pids if "qemu" in Path(f"/proc/{pid}/comm").read_text()}


def fake_qemu(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """A QEMU in front of PATH that does as ``script`` says; and a device that can be opened."""
    executable = folder / "qemu-system-x86_64"
    executable.write_text(f"#!/bin/sh\n{script}\n")
    executable.chmod(executable.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    device = folder / "kvm"
    device.touch()
    return device


def test_probe_image_when_its_source_is_assembled_then_is_the_one_that_ships(
    tmp_path: Path,
) -> None:
    run(["as", "--64", "-o", str(tmp_path / "o"), str(SOURCE)])
    link = ["ld", "-m", "elf_x86_64", "-Ttext=0x7c00", "--oformat", "binary"]
    run([*link, "-o", str(tmp_path / "bin"), str(tmp_path / "o")])
    built = (tmp_path / "bin").read_bytes()
    assert built == SOURCE.with_suffix(".bin").read_bytes()
    assert len(built) == 512
    assert built.endswith(b"\x55\xaa")


def test_probe_guest_when_run_by_an_emulated_cpu_then_succeeds() -> None:
    found = run_probe_guest("tcg", GENEROUS_S)
    assert found.verdict is KvmVerdict.RAN, found
    assert found.works


def test_probe_guest_when_the_accelerator_is_unknown_then_gives_qemus_last_line() -> None:
    found = run_probe_guest("no-such-thing", GENEROUS_S)
    assert found.verdict is KvmVerdict.ABORTED
    assert "no-such-thing" in found.detail


def test_probe_when_a_real_kvm_is_asked_then_verdict_and_answer_agree_and_no_qemu_stays() -> None:
    before = qemu_children()
    found = probe_kvm(GENEROUS_S)
    assert found.works is (found.verdict is KvmVerdict.RAN)
    assert kvm_works(GENEROUS_S) is found.works
    assert found.detail
    assert qemu_children() <= before


def test_probe_when_there_is_no_device_then_says_so_without_qemu(tmp_path: Path) -> None:
    found = probe_kvm(device=tmp_path / "kvm")
    assert found.verdict is KvmVerdict.NO_DEVICE
    assert not found.works


def test_probe_when_there_is_no_qemu_then_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kvm, "_QEMU", "qemu-system-nowhere")
    (tmp_path / "kvm").touch()
    found = probe_kvm(device=tmp_path / "kvm")
    assert found.verdict is KvmVerdict.NO_QEMU
    assert "qemu-system-nowhere" in found.detail


@pytest.mark.parametrize(
    ("script", "verdict", "detail"),
    [
        ("exit 85", KvmVerdict.RAN, "the probe guest ran"),
        ("exit 23", KvmVerdict.WRONG, "the probe guest computed wrongly"),
        ("exit 0", KvmVerdict.ABORTED, "QEMU ended with status 0"),
        ("echo first >&2; printf 'error: MSR' >&2; exit 1", KvmVerdict.ABORTED, "error: MSR"),
        (
            "echo 'KVM internal error. Suberror: 1' >&2; exec sleep 600",
            KvmVerdict.ABORTED,
            "KVM internal error. Suberror: 1",
        ),
        ("exec sleep 600", KvmVerdict.HUNG, "no answer within 1 s"),
        ("trap '' TERM; sleep 2 & wait; sleep 600", KvmVerdict.HUNG, "no answer within 1 s"),
    ],
)
def test_probe_when_qemu_ends_like_this_then_the_verdict_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    verdict: KvmVerdict,
    detail: str,
) -> None:
    device = fake_qemu(tmp_path, monkeypatch, script)
    found = probe_kvm(1, device=device)
    assert (found.verdict, found.detail) == (verdict, detail)
