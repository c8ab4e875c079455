"""KVM when a guest really runs under it, software emulation (TCG) otherwise."""

import os
from dataclasses import dataclass
from pathlib import Path

from lab.places import CACHE
from pizarra.system.kvm import kvm_works


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """What QEMU is told about its processor; `words` say it to a person."""

    qemu_args: tuple[str, ...]
    words: str


KVM = Accelerator(qemu_args=("-accel", "kvm", "-cpu", "host"), words="KVM")
# Without erms and fsrm the kernel copies and clears memory by words, where emulation would go byte
# by byte through `rep movsb`. Without la57 its page tables have four levels, not five.
TCG = Accelerator(
    qemu_args=("-accel", "tcg,thread=multi", "-cpu", "max,la57=off,erms=off,fsrm=off"),
    words="software emulation: KVM runs no guest on this machine",
)


def accelerator_choose() -> Accelerator:
    """Ask /dev/kvm by running a guest: the file may exist where no guest can run.

    The answer holds until this machine boots anew, and asking takes seconds where it is "no".
    """
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    known = CACHE / f"kvm-works-{boot_id}"
    if not known.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        asked = CACHE / f"{known.name}.{os.getpid()}"
        asked.write_text("yes" if kvm_works() else "no")
        asked.rename(known)  # whole or not there, for labs that start at the same time
    return KVM if known.read_text() == "yes" else TCG
