"""The devices that a guest's system was installed for: without their drivers it does not boot.

A template of a machine that somebody made, and each seat of it, has the machine's own. What was
made for Pizarra has the defaults. Written as ``key=value`` joined with ``:``, in labels and in the
manifest of an export; a value of several is joined with ``+``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

BUSES = ("virtio", "sata", "ide", "scsi", "usb")
MACHINES = ("q35", "i440fx")
NICS = ("virtio", "e1000", "e1000e", "rtl8139", "vmxnet3", "pcnet", "ne2k_pci")
SCSI = ("virtio-scsi", "lsilogic", "lsisas1068", "lsisas1078", "vmpvscsi")
USB = ("qemu-xhci", "ich9-ehci1", "piix3-uhci")
VIDEO = ("virtio", "vga", "cirrus", "bochs")
CLOCKS = ("utc", "localtime")
HYPERV = (  # https://libvirt.org/formatdomain.html#hypervisor-features
    "relaxed", "vapic", "spinlocks", "vpindex", "runtime", "synic", "stimer", "reset",
    "frequencies", "reenlightenment", "tlbflush", "ipi", "evmcs", "avic", "hypervclock",
)  # fmt: skip
_CPU = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_DISK = re.compile(r"vd[a-z]", re.ASCII)
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "bus": BUSES,
    "machine": MACHINES,
    "nic": NICS,
    "scsi": SCSI,
    "usb": USB,
    "video": VIDEO,
    "clock": CLOCKS,
    "secure_boot": ("no", "yes"),
    "sockets": ("many", "one"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """Of a disk its bus; of a machine all the rest, which stands on its first disk.

    Raises ValueError, naming the key, when it is made of what no seat can have.
    """

    bus: str = "virtio"
    machine: str = "q35"
    boot: str = ""  # the disk that it boots from, if that is not the first one
    nic: str = "virtio"
    scsi: str = "virtio-scsi"  # the controller, where a disk is on this bus
    usb: str = "qemu-xhci"
    video: str = "virtio"
    clock: str = "utc"
    cpu: str = ""  # a model by its name; as the host's
    sockets: str = "many"  # of its processors; Windows for desktops uses two at most
    hyperv: str = ""  # relaxed+vapic
    secure_boot: str = "no"

    def __post_init__(self) -> None:
        for key, value in self._items().items():
            if not self._is_good(key, value):
                raise ValueError(f"{key}={value}")

    @staticmethod
    def _is_good(key: str, value: str) -> bool:
        match key:
            case "boot":
                return not value or bool(_DISK.fullmatch(value))
            case "cpu":
                return not value or bool(_CPU.fullmatch(value))
            case "hyperv":
                return not value or set(value.split("+")) <= set(HYPERV)
            case _:
                return value in _CHOICES[key]

    def _items(self) -> dict[str, str]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def to_dict(self) -> dict[str, str]:
        """What differs from the defaults."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default
        }

    @property
    def enlightenments(self) -> tuple[str, ...]:
        """The names of ``hyperv``."""
        return tuple(self.hyperv.split("+")) if self.hyperv else ()

    def __str__(self) -> str:
        return ":".join(f"{key}={value}" for key, value in self.to_dict().items())

    @classmethod
    def parse(cls, text: str) -> Hardware:
        """The inverse of ``str``. Raises ValueError, naming what cannot be read."""
        return USUAL.change(text)

    def change(self, text: str) -> Hardware:
        """With the keys of such a text. Raises ValueError, naming what cannot be read."""
        given: dict[str, str] = {}
        for part in text.split(":") if text else ():
            key, _, value = part.partition("=")
            if key not in self._items() or key in given:
                raise ValueError(part)
            given[key] = value
        return replace(self, **given)


USUAL = Hardware()  # of what was made for Pizarra
