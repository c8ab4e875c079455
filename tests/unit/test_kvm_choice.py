"""KVM's verdict, remembered for one boot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pizarra.compute.kvm_choice import kvm_chosen

BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@pytest.mark.parametrize("works", [True, False])
def test_kvm_chosen_when_found_out_in_this_boot_then_not_asked_again(
    tmp_path: Path, works: bool
) -> None:
    file = tmp_path / "kvm.json"
    file.write_text(json.dumps({"boot": BOOT, "works": works}))
    assert kvm_chosen(file=file) is works
