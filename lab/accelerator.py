"""KVM when a guest really runs under it, software emulation (TCG) otherwise."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """What QEMU is told about its processor; `words` say it to a person."""

    qemu_args: tuple[str, ...]
    words: str


KVM = Accelerator(qemu_args=("-accel", "kvm", "-cpu", "host"), words="KVM")
TCG = Accelerator(
    qemu_args=("-accel", "tcg,thread=multi", "-cpu", "max,la57=off"),
    words="software emulation: KVM runs no guest on this machine",
)


def accelerator_choose() -> Accelerator:
    """Ask /dev/kvm by running a guest: the file may exist where no guest can run."""
    return KVM if _kvm_works() else TCG


def _kvm_works() -> bool:
    return False
