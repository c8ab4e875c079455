"""Reads from libvirt's XML the hardware that a machine's system was installed for. Pure.

What a seat can have too becomes a ``Hardware``; what it cannot have is named beside it.
https://libvirt.org/formatdomain.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lxml import etree

from pizarra.model import hardware as known
from pizarra.model.hardware import Hardware
from pizarra.model.sentence import N_, Sentence

_QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"
_OWN_FEATURES = {"acpi", "apic", "pae", "hyperv", "smm", "vmport", "gic"}
# parts that a seat does not have, and that a system does without while it boots
_EXTRA_DEVICES = (
    "hostdev", "filesystem", "sound", "redirdev", "watchdog", "smartcard", "panic", "iommu",
    "vsock", "shmem", "memory", "parallel", "nvram", "crypto", "pstore", "lease",
)  # fmt: skip
_EXTRA_PARTS = ("sysinfo", "launchSecurity", f"{_QEMU}commandline", f"{_QEMU}override")


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareFound:
    """A machine's own, but for its disks; and what its seats have otherwise, in words."""

    hardware: Hardware
    changes: tuple[Sentence, ...]


def read_hardware(root: etree._Element, machine: str) -> HardwareFound:
    """``machine`` is its family: q35 or i440fx. Raises ValueError for another."""
    changes: list[Sentence] = []
    hardware = Hardware(
        machine=machine,
        nic=_nic(root, changes),
        usb=_usb(root),
        video=_video(root, changes),
        clock=_clock(root, changes),
        cpu=_cpu(root, changes),
        sockets=_sockets(root),
        hyperv=_hyperv(root, changes),
        secure_boot=_secure_boot(root),
    )
    changes += _others(root)
    return HardwareFound(hardware=hardware, changes=tuple(changes))


def scsi_controllers(root: etree._Element) -> list[str]:
    """The models, each once. QEMU's own choice is lsilogic."""
    models = [
        one.get("model", "lsilogic") for one in root.iterfind("devices/controller[@type='scsi']")
    ]
    return list(dict.fromkeys("virtio-scsi" if "virtio" in one else one for one in models))


def _nic(root: etree._Element, changes: list[Sentence]) -> str:
    cards = root.findall("devices/interface")
    if len(cards) > 1:
        changes.append(Sentence("its {n} network cards become one", n=len(cards)))
    if not cards:
        return "virtio"
    model = _attribute(cards[0], "model", "type") or "rtl8139"  # as QEMU has it for a PC
    if model in known.NICS:
        return model
    if not model.startswith("virtio"):
        changes.append(Sentence("its network card {model} becomes {other}", model=model,
                                other="virtio"))  # fmt: skip
    return "virtio"


def _usb(root: etree._Element) -> str:
    """A controller that the system has a driver for, so that the pointer moves."""
    models = [one.get("model", "") for one in root.iterfind("devices/controller[@type='usb']")]
    if any("xhci" in one for one in models) or not models:
        return "qemu-xhci"
    if any("ehci" in one for one in models):
        return "ich9-ehci1"
    return "piix3-uhci" if any("uhci" in one for one in models) else "qemu-xhci"


def _video(root: etree._Element, changes: list[Sentence]) -> str:
    video = root.find("devices/video")
    model = "" if video is None else _attribute(video, "model", "type")
    if model in known.VIDEO:
        return model
    other = "vga" if model in ("qxl", "vmvga") else "virtio"
    if model:
        changes.append(
            Sentence("its graphics card {model} becomes {other}", model=model, other=other)
        )
    return other


def _clock(root: etree._Element, changes: list[Sentence]) -> str:
    clock = root.find("clock")
    if clock is None:
        return "utc"
    offset = clock.get("offset", "utc")
    kept = "localtime" if "localtime" in (offset, clock.get("basis", "")) else "utc"
    if offset == "timezone":
        kept = "localtime"
    if offset != kept:
        text = N_("its clock ({offset}) becomes {other}")
        changes.append(Sentence(text, offset=offset, other=kept))
    return kept


def _cpu(root: etree._Element, changes: list[Sentence]) -> str:
    cpu = root.find("cpu")
    if cpu is None or cpu.get("mode", "custom") != "custom":
        return ""
    model = cpu.findtext("model", "").strip()
    features = [one.get("name", "") for one in cpu.iterfind("feature")]
    if model and features:
        text = N_("the changes to its CPU {model} are left out: {features}")
        changes.append(Sentence(text, model=model, features=", ".join(features)))
    return model


def _sockets(root: etree._Element) -> str:
    topology = root.find("cpu/topology")
    return "one" if topology is not None and topology.get("sockets") == "1" else "many"


def _hyperv(root: etree._Element, changes: list[Sentence]) -> str:
    on = [str(one.tag) for one in root.iterfind("features/hyperv/*[@state='on']")]
    if root.find("clock/timer[@name='hypervclock'][@present='yes']") is not None:
        on.append("hypervclock")
    unknown = [one for one in on if one not in known.HYPERV]
    if root.find("features/hyperv[@mode='passthrough']") is not None:
        unknown.append("passthrough")
    if unknown:
        text = N_("these of its Hyper-V features are left out: {names}")
        changes.append(Sentence(text, names=", ".join(unknown)))
    return "+".join(one for one in known.HYPERV if one in on)


def _secure_boot(root: etree._Element) -> str:
    secure = root.find("os/loader[@secure='yes']")
    asked = root.find("os/firmware/feature[@name='secure-boot'][@enabled='yes']")
    return "no" if secure is None and asked is None else "yes"


def _others(root: etree._Element) -> Iterator[Sentence]:
    parts = [*_names(root.iterfind("devices/*"), _EXTRA_DEVICES)]
    parts += _names(root.iterchildren(tag=etree.Element), _EXTRA_PARTS)
    features = (one for one in root.iterfind("features/*") if one.tag not in _OWN_FEATURES)
    parts += [str(one.tag) for one in features if one.get("state", "on") == "on"]
    if root.find("os/acpi/table") is not None:
        parts.append("acpi table")
    if (
        root.find("devices/tpm") is not None
        and root.find("devices/tpm/backend[@type='emulator']") is None
    ):
        parts.append("tpm")
    if parts:
        yield Sentence("these parts of it are left out: {parts}", parts=", ".join(parts))
    shown = [one.get("type", "") for one in root.iterfind("devices/graphics")]
    if shown and "vnc" not in shown:
        yield Sentence("its screen is shown by VNC instead of {kind}", kind=", ".join(shown))


def _names(found: Iterable[etree._Element], wanted: Iterable[str]) -> list[str]:
    """The names that are wanted, each once."""
    there = dict.fromkeys(str(one.tag) for one in found)
    return [etree.QName(one).localname for one in there if one in set(wanted)]


def _attribute(parent: etree._Element, child: str, name: str) -> str:
    one = parent.find(child)
    return "" if one is None else one.get(name, "")
