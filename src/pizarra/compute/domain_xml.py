"""A seat's machine as libvirt's domain XML (https://libvirt.org/formatdomain.html). Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from lxml.etree import _Element

from pizarra.compute.elements import element as el
from pizarra.compute.elements import text_of
from pizarra.compute.interface import DiskSpec, DomainSpec
from pizarra.compute.network_xml import network_name, port_name
from pizarra.compute.seat_metadata import SeatMetadata, seat_element
from pizarra.model.disk_source import BlockDevice, DiskSource, ImageFile, RbdImage
from pizarra.model.hardware import Hardware
from pizarra.model.labels import Firmware
from pizarra.model.policy import WEIGHT_USUAL
from pizarra.model.sizes import KIB

AGENT = "org.qemu.guest_agent.0"  # name of the guest agent's channel

BRIDGE = "bridge="  # of a network that is a bridge of the host
_MACHINES = {"q35": "q35", "i440fx": "pc"}  # as QEMU calls the newest of each
_HYPERV_CLOCK = "hypervclock"
_ENLIGHTENED = {"state": "on"}
# the controller of USB 2 is one function of a device, and these are the others
_SLOW_USB = (("ich9-uhci1", "0"), ("ich9-uhci2", "2"), ("ich9-uhci3", "4"))
NESTING = ("vmx", "svm")  # the features with which a processor runs machines: Intel's, AMD's
CONTROLLERS = frozenset({"cpu", "io"})  # of the kernel, which divide processors and disks
_RETRIES = {"spinlocks": {"retries": "8191"}}


def domain_xml(
    spec: DomainSpec,
    *,
    kvm: bool,
    buffered: Collection[str] = (),
    controllers: Collection[str] = CONTROLLERS,
) -> str:
    """The persistent definition of a seat's machine.

    ``kvm`` False means software emulation. ``buffered`` has the targets (``vda``) of disks whose
    file system refuses O_DIRECT, as tmpfs does before Linux 6.6. ``controllers`` has those of
    ``CONTROLLERS`` that the host has: libvirt starts no machine with a weight of another.
    """
    domain = el(
        "domain",
        {"type": "kvm" if kvm else "qemu"},
        el("name", spec.name),
        el("uuid", spec.uuid),
        el("title", _title(spec)),
        el("metadata", seat_element(_metadata(spec))),
        el("memory", {"unit": "KiB"}, str(spec.memory_bytes // KIB)),
        el("vcpu", str(spec.vcpus)),
        *_weights(spec.weight, controllers),
        *_firmware(spec),
        _features(spec.hardware, kvm),
        _cpu(spec, kvm),
        *_clock_and_events(spec.hardware, kvm),
        _devices(spec, buffered),
    )
    return text_of(domain)


def _title(spec: DomainSpec) -> str:
    of = f"{spec.template} v{spec.version}"
    return f"{spec.classroom}, seat {spec.number} ({of})" if spec.number else f"{of} in the making"


def _metadata(spec: DomainSpec) -> SeatMetadata:
    return SeatMetadata(
        classroom=spec.classroom,
        number=spec.number,
        template=spec.template,
        version=spec.version,
    )


def _weights(weight: int, controllers: Collection[str]) -> Iterator[_Element]:
    """The usual weight is the kernel's own. https://libvirt.org/formatdomain.html#cpu-tuning"""
    if weight == WEIGHT_USUAL:
        return
    if "cpu" in controllers:
        yield el("cputune", el("shares", str(weight)))
    if "io" in controllers:
        yield el("blkiotune", el("weight", str(weight)))


def _firmware(spec: DomainSpec) -> tuple[_Element, ...]:
    """The machine boots from disk only. Without network boot no seat can offer another a system.

    For UEFI libvirt finds OVMF by its descriptors and gives the machine its own NVRAM file.
    """
    serial = el("system", el("entry", {"name": "serial"}, spec.name))
    kind = _MACHINES[spec.hardware.machine]
    machine = el("type", {"arch": "x86_64", "machine": kind}, "hvm")
    boot = () if spec.hardware.boot else (el("boot", {"dev": "hd"}),)  # else the disk says so
    rest = (*boot, el("smbios", {"mode": "sysinfo"}))
    if spec.firmware is Firmware.BIOS:
        system = el("os", machine, *rest)
    else:
        secure = {"enabled": spec.hardware.secure_boot}
        plain = (
            el("feature", {**secure, "name": "enrolled-keys"}),
            el("feature", {**secure, "name": "secure-boot"}),
        )
        system = el("os", {"firmware": "efi"}, machine, el("firmware", *plain), *rest)
    return el("sysinfo", {"type": "smbios"}, serial), system


def _features(hardware: Hardware, kvm: bool) -> _Element:
    """KVM has what Windows knows of Hyper-V; emulation has nothing of it."""
    names = [name for name in hardware.enlightenments if name != _HYPERV_CLOCK]
    hyperv = el("hyperv", *(el(name, _ENLIGHTENED | _RETRIES.get(name, {})) for name in names))
    secure = hardware.secure_boot == "yes"  # firmware guards its variables by SMM
    return el(
        "features",
        el("acpi"),
        el("apic"),
        *((hyperv,) if kvm and names else ()),
        *((el("smm", {"state": "on"}),) if secure else ()),
    )


def _cpu(spec: DomainSpec, kvm: bool) -> _Element:
    plain = "host-passthrough" if kvm else "maximum"
    how = {"mode": plain, "check": "none", "migratable": "on"}
    if spec.hardware.cpu:
        how = {"mode": "custom", "match": "exact", "check": "none"}
    cpu = el("cpu", how)
    if spec.hardware.cpu:
        cpu.append(el("model", {"fallback": "allow"}, spec.hardware.cpu))
    if spec.hardware.sockets == "one":
        cpu.append(el("topology", {"sockets": "1", "cores": str(spec.vcpus), "threads": "1"}))
    # emulated, they give nobody more of the host's KVM; and a Debian that QEMU 7.2 emulates without
    # svm panics at boot: its busybox, which is linked statically, aborts (seen)
    for name in NESTING if kvm and not spec.nested else ():
        cpu.append(el("feature", {"policy": "disable", "name": name}))
    return cpu


def _clock_and_events(hardware: Hardware, kvm: bool) -> tuple[_Element, ...]:
    """Sleep states are off, because a sleeping guest can be neither paused nor shut down."""
    of_hyperv = kvm and _HYPERV_CLOCK in hardware.enlightenments
    clock = el(
        "clock",
        {"offset": hardware.clock},
        el("timer", {"name": "rtc", "tickpolicy": "catchup"}),
        el("timer", {"name": "pit", "tickpolicy": "delay"}),
        el("timer", {"name": "hpet", "present": "no"}),
        *((el("timer", {"name": _HYPERV_CLOCK, "present": "yes"}),) if of_hyperv else ()),
    )
    return (
        clock,
        el("on_poweroff", "destroy"),
        el("on_reboot", "restart"),
        el("on_crash", "destroy"),
        el(
            "pm",
            el("suspend-to-mem", {"enabled": "no"}),
            el("suspend-to-disk", {"enabled": "no"}),
        ),
    )


def _devices(spec: DomainSpec, buffered: Collection[str]) -> _Element:
    """The console is VNC without a TCP port: libvirt hands out a socket to whoever shows it."""
    agent = {"type": "virtio", "name": AGENT}
    return el(
        "devices",
        *(_disk(disk, spec.hardware, disk.target in buffered) for disk in spec.disks),
        *((_seed(spec.seed),) if spec.seed else ()),
        *_controllers(spec),
        *_interfaces(spec),
        el("serial", {"type": "pty"}),
        el("console", {"type": "pty"}),
        el("channel", {"type": "unix"}, el("target", agent)),
        el("input", {"type": "tablet", "bus": "usb"}),
        el("graphics", {"type": "vnc"}, el("listen", {"type": "none"})),
        el("video", el("model", {"type": spec.hardware.video})),
        el("memballoon", {"model": "virtio"}),
        el("rng", {"model": "virtio"}, el("backend", {"model": "random"}, "/dev/urandom")),
        *((_tpm(),) if spec.tpm else ()),
    )


def _controllers(spec: DomainSpec) -> tuple[_Element, ...]:
    usb = {"type": "usb", "model": spec.hardware.usb}
    slow = _SLOW_USB if spec.hardware.usb == "ich9-ehci1" else ()
    has_scsi = any(disk.bus == "scsi" for disk in spec.disks)
    return (
        el("controller", usb | ({"index": "0"} if slow else {})),
        *(
            el("controller", {"type": "usb", "model": model, "index": "0"},
               el("master", {"startport": port}))
            for model, port in slow
        ),
        *((el("controller", {"type": "scsi", "model": spec.hardware.scsi}),) if has_scsi else ()),
    )  # fmt: skip


def _seed(path: Path) -> _Element:
    return el(
        "disk",
        {"type": "file", "device": "disk"},
        el("driver", {"name": "qemu", "type": "raw"}),
        el("source", {"file": str(path)}),
        el("target", {"dev": "vdz", "bus": "virtio"}),
    )


def _tpm() -> _Element:
    """libvirt keeps the TPM's state in a folder, which a reset restores with the disks."""
    return el("tpm", {"model": "tpm-crb"}, el("backend", {"type": "emulator", "version": "2.0"}))


def _disk(disk: DiskSpec, hardware: Hardware, buffered: bool) -> _Element:
    """cache='none', because the host's page cache does not see a rewind of the volume below."""
    cache, io = ("writeback", "threads") if buffered else ("none", "native")
    form = disk.source.format
    driver = {"name": "qemu", "type": form, "cache": cache, "io": io, "discard": "unmap"}
    kind, source = _source(disk.source)
    return el(
        "disk",
        {"type": kind, "device": "disk"},
        el("driver", driver),
        source,
        el("target", {"dev": disk.target, "bus": disk.bus}),
        *((el("boot", {"order": "1"}),) if disk.target == hardware.boot else ()),
    )


def _source(source: DiskSource) -> tuple[str, _Element]:
    """The type of the disk element, and its source."""
    match source:
        case BlockDevice(path):
            return "block", el("source", {"dev": str(path)})
        case ImageFile(path, _):
            return "file", el("source", {"file": str(path)})
        case RbdImage():
            return "network", _rbd_source(source)


def _rbd_source(source: RbdImage) -> _Element:
    hosts = (one.partition(":") for one in source.monitors)
    secret = el("secret", {"type": "ceph", "uuid": source.secret_uuid})
    return el(
        "source",
        {"protocol": "rbd", "name": f"{source.pool}/{source.image}"},
        *(el("host", {"name": name, "port": port or "3300"}) for name, _, port in hosts),
        *((el("auth", {"username": source.user}, secret),) if source.user else ()),
    )


def _interfaces(spec: DomainSpec) -> tuple[_Element, ...]:
    """A seat's port is isolated from those of other seats. Its name is how ``fence`` knows it."""
    if spec.network == "none":
        return ()
    if spec.network.startswith(BRIDGE):
        kind, source = "bridge", spec.network.removeprefix(BRIDGE)
    else:
        kind, source = "network", network_name(spec.classroom)
    card = el(
        "interface",
        {"type": kind},
        el("mac", {"address": spec.mac}),
        el("source", {kind: source}),
        el("target", {"dev": port_name(spec.mac)}),
        el("model", {"type": spec.hardware.nic}),
        el("rom", {"enabled": "no"}),
        el("port", {"isolated": "yes"}),
    )
    return (card,)
