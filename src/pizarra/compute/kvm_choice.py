"""Whether seats run under KVM here: found out once a boot, since a failing probe takes seconds."""

from __future__ import annotations

import json
from pathlib import Path

from pizarra.system.kvm import KvmProbe, KvmVerdict, probe_kvm

KVM_VERDICT = Path("/run/pizarra/kvm.json")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# The machine decides these. A probe that hung, or lacked QEMU, may end otherwise next time.
_LASTING = frozenset({KvmVerdict.RAN, KvmVerdict.ABORTED, KvmVerdict.WRONG})


def kvm_chosen(*, file: Path = KVM_VERDICT) -> bool:
    """Whether to define seats with ``type='kvm'``."""
    boot = _BOOT_ID.read_text(encoding="ascii").strip()
    remembered = _remembered(file)
    if remembered.get("boot") == boot:
        return remembered.get("works") is True
    return kvm_found(file=file).works


def kvm_found(*, file: Path = KVM_VERDICT) -> KvmProbe:
    """Ask again, whatever is remembered, and remember that."""
    probe = probe_kvm()
    if probe.verdict in _LASTING:
        boot = _BOOT_ID.read_text(encoding="ascii").strip()
        _remember(file, {"boot": boot, "works": probe.works, "detail": probe.detail})
    return probe


def _remembered(file: Path) -> dict[str, object]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(file: Path, verdict: dict[str, object]) -> None:
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(json.dumps(verdict), encoding="utf-8")
    new.replace(file)
