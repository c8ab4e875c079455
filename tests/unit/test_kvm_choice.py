"""KVM's verdict, remembered for one boot."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pizarra.compute.kvm_choice import is_kvm_usable, remember_kvm
from pizarra.system.kvm import KvmProbe, KvmVerdict

BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@pytest.mark.parametrize("works", [True, False])
def test_kvm_chosen_when_found_out_in_this_boot_then_not_asked_again(
    tmp_path: Path, works: bool
) -> None:
    file = tmp_path / "kvm.json"
    file.write_text(json.dumps({"boot": BOOT, "works": works}))
    assert is_kvm_usable(file=file) is works


def test_remembered_when_many_found_it_out_at_once_then_it_is_whole_and_alone(
    tmp_path: Path,
) -> None:
    file = tmp_path / "pizarra" / "kvm.json"
    probe = KvmProbe(verdict=KvmVerdict.RAN, detail="the probe guest ran")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: remember_kvm(probe, file=file), range(200)))
    assert is_kvm_usable(file=file)
    assert list(file.parent.iterdir()) == [file]


def test_remembered_when_it_may_be_otherwise_next_time_then_not(tmp_path: Path) -> None:
    file = tmp_path / "kvm.json"
    remember_kvm(KvmProbe(verdict=KvmVerdict.HUNG, detail="no answer"), file=file)
    assert not file.exists()
