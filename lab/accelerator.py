"""KVM when a guest really runs under it, software emulation (TCG) otherwise."""

import os
from dataclasses import dataclass
from pathlib import Path

from lab.places import CACHE
from pizarra.system.kvm import kvm_works


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """QEMU's options for its processor; `words` describes them to a person."""

    qemu_args: tuple[str, ...]
    words: str


KVM = Accelerator(qemu_args=("-accel", "kvm", "-cpu", "host"), words="KVM")
# Without erms and fsrm the kernel copies and clears memory by words; with them it uses `rep movsb`,
# which emulation runs byte by byte. Without la57 the page tables have four levels, not five.
TCG = Accelerator(
    qemu_args=("-accel", "tcg,thread=multi", "-cpu", "max,la57=off,erms=off,fsrm=off"),
    words="software emulation: KVM runs no guest on this machine",
)


def choose_accelerator() -> Accelerator:
    """Choose KVM if a guest runs under it: /dev/kvm may exist where no guest can run.

    A file keeps the answer until the next boot, because a probe that fails takes seconds.
    """
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    known = CACHE / f"kvm-works-{boot_id}"
    if not known.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        asked = CACHE / f"{known.name}.{os.getpid()}"
        asked.write_text("yes" if kvm_works() else "no")
        asked.rename(known)  # labs that start at the same time see a whole file or none
    return KVM if known.read_text() == "yes" else TCG
