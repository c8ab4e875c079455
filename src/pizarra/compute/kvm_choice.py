"""Whether machines run under KVM on this host.

Probed once a boot: a failing probe takes seconds.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from pizarra.system.kvm import KvmProbe, KvmVerdict, probe_kvm

KVM_VERDICT = Path("/run/pizarra/kvm.json")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# The machine decides these verdicts. A probe that hung or lacked QEMU may succeed next time.
_LASTING = frozenset({KvmVerdict.RAN, KvmVerdict.ABORTED, KvmVerdict.WRONG})


def is_kvm_usable(*, file: Path = KVM_VERDICT) -> bool:
    """Whether to define machines with ``type='kvm'``."""
    boot = _BOOT_ID.read_text(encoding="ascii").strip()
    remembered = _recall(file)
    if remembered.get("boot") == boot:
        return remembered.get("works") is True
    return probe_kvm_again(file=file).works


def probe_kvm_again(*, file: Path = KVM_VERDICT) -> KvmProbe:
    """Probe now, whatever the file says, and write the verdict to the file."""
    probe = probe_kvm()
    remember_kvm(probe, file=file)
    return probe


def remember_kvm(probe: KvmProbe, *, file: Path = KVM_VERDICT) -> None:
    """Write a lasting verdict for this boot. The file is whole even if two processes write it."""
    if probe.verdict not in _LASTING:
        return
    boot = _BOOT_ID.read_text(encoding="ascii").strip()
    verdict = {"boot": boot, "works": probe.works, "detail": probe.detail}
    with suppress(OSError):  # then the next command probes again
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        new = file.with_name(f".{file.name}.{os.getpid()}")
        new.write_text(json.dumps(verdict), encoding="utf-8")
        new.replace(file)


def _recall(file: Path) -> dict[str, object]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
