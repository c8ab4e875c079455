"""What a machine is defined to be, and what it runs on: read from libvirt's XML. Pure.

Only what decides what a start would use is read, in the same form for XML of ours and for XML that
libvirt completed. https://libvirt.org/formatdomain.html
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from pizarra.compute.domain_edit import (
    nvram_file,
    parse_domain,
    read_firmware,
    read_resources,
    read_state_files,
)
from pizarra.compute.domain_xml import BRIDGE, NESTING
from pizarra.compute.interface import DiskSpec, DomainSpec
from pizarra.compute.network_xml import network_name, port_name
from pizarra.model.definition import (
    Definition,
    DiskDefinition,
    NicDefinition,
    OtherDevice,
)
from pizarra.model.disk_source import BlockDevice, ImageFile, RbdImage
from pizarra.model.labels import Firmware
from pizarra.model.sizes import KIB

_SOURCES = {"file": "file", "block": "dev", "dir": "dir", "volume": "volume", "network": "name"}
_PLAIN_DEVICES = {
    "audio",
    "channel",
    "console",
    "controller",
    "disk",
    "emulator",
    "graphics",
    "hub",
    "input",
    "interface",
    "memballoon",
    "panic",
    "parallel",
    "rng",
    "serial",
    "smartcard",
    "sound",
    "tpm",
    "video",
    "watchdog",
}
_QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"
# what brings content of its own, which no reset of disks puts back
_WITH_CONTENT = {
    "filesystem": "filesystem",
    "shmem": "shmem",
    f"{_QEMU}commandline": "qemu:commandline",
    f"{_QEMU}override": "qemu:override",
}


def has_content(element: etree._Element) -> bool:
    """Whether a device, or a part of a domain for QEMU itself, brings content of its own."""
    return element.tag in _WITH_CONTENT


def parse_definition(xml: str) -> Definition:
    """Read the XML of a definition. Raises BadInput when it is no domain."""
    root = parse_domain(xml)
    memory_bytes, vcpus = read_resources(root)
    nvram = read_state_files(root).nvram
    return Definition(
        disks=tuple(map(_disk, root.iterfind("devices/disk"))),
        boot=tuple(one.get("dev", "") for one in root.iterfind("os/boot")),
        firmware=read_firmware(root),
        loader=root.findtext("os/loader", "").strip(),
        nvram=str(nvram) if nvram else "",
        kernel=root.findtext("os/kernel", "").strip(),
        tpm=_tpm(root),
        machine=_machine(root),
        memory_bytes=memory_bytes,
        vcpus=vcpus,
        nested=_is_nesting(root),
        nics=tuple(map(_nic, root.iterfind("devices/interface"))),
        others=tuple(_others(root)),
    )


def parse_live_disks(xml: str) -> tuple[DiskDefinition, ...]:
    """The disks of the XML of a running machine: what QEMU opened. Raises BadInput."""
    return tuple(map(_disk, parse_domain(xml).iterfind("devices/disk")))


def definition_of(spec: DomainSpec) -> Definition:
    """What a machine of ours is made as: the same as its XML says (``domain_xml``), at a tenth of
    the time."""
    is_uefi = spec.firmware is Firmware.UEFI
    return Definition(
        disks=tuple(_made_disk(disk, spec.hardware.boot) for disk in spec.disks),
        boot=() if spec.hardware.boot else ("hd",),
        firmware=spec.firmware,
        loader="",
        nvram=str(nvram_file(spec.name)) if is_uefi else "",
        kernel="",
        tpm="emulator 2.0" if spec.tpm else "",
        machine=spec.hardware.machine,
        memory_bytes=spec.memory_bytes // KIB * KIB,
        vcpus=spec.vcpus,
        nested=spec.nested,
        nics=_made_nics(spec),
        others=(),
    )


def _made_disk(disk: DiskSpec, boots: str) -> DiskDefinition:
    match disk.source:
        case BlockDevice(path):
            kind, source = "block", str(path)
        case ImageFile(path, _):
            kind, source = "file", str(path)
        case RbdImage() as image:
            kind, source = "network", f"rbd:{image.pool}/{image.image}"
    return DiskDefinition(
        target=disk.target,
        device="disk",
        source=source,
        type=kind,
        format=disk.source.format,
        bus=disk.bus,
        boot=int(disk.target == boots),
        transient=False,
    )


def _made_nics(spec: DomainSpec) -> tuple[NicDefinition, ...]:
    if spec.network == "none":
        return ()
    is_bridged = spec.network.startswith(BRIDGE)
    return (
        NicDefinition(
            mac=spec.mac.lower(),
            type="bridge" if is_bridged else "network",
            source=spec.network.removeprefix(BRIDGE) if is_bridged
            else network_name(spec.classroom),
            model=spec.hardware.nic,
            boot=0,
            port=port_name(spec.mac),
            is_isolated=True,
        ),
    )  # fmt: skip


def _disk(disk: etree._Element) -> DiskDefinition:
    target, driver = disk.find("target"), disk.find("driver")
    kind = disk.get("type", "file")
    return DiskDefinition(
        target="" if target is None else target.get("dev", ""),
        device=disk.get("device", "disk"),
        source=_source(disk, kind),
        type=kind,
        format="raw" if driver is None else driver.get("type", "raw"),
        bus="" if target is None else target.get("bus", ""),
        boot=_boot_order(disk),
        transient=disk.find("transient") is not None,
        backing=tuple(_backing(disk)),
    )


def _source(disk: etree._Element, kind: str) -> str:
    source = disk.find("source")
    if source is None:
        return ""
    named = source.get(_SOURCES.get(kind, "file"), "")
    if kind == "volume":
        return f"{source.get('pool', '')}/{named}"
    if kind == "network":
        return f"{source.get('protocol', '')}:{named}"
    return named


def _backing(disk: etree._Element) -> Iterator[str]:
    below = disk.find("backingStore")
    while below is not None and below.get("type"):
        yield _source(below, below.get("type", "file"))
        below = below.find("backingStore")


def _nic(nic: etree._Element) -> NicDefinition:
    kind = nic.get("type", "")
    source, mac, model = nic.find("source"), nic.find("mac"), nic.find("model")
    target = nic.find("target")
    named = "" if source is None else source.get({"direct": "dev"}.get(kind, kind), "")
    return NicDefinition(
        mac="" if mac is None else mac.get("address", "").lower(),
        type=kind,
        source=named,
        model="" if model is None else model.get("type", ""),
        boot=_boot_order(nic),
        port="" if target is None else target.get("dev", ""),
        is_isolated=nic.find("port[@isolated='yes']") is not None,
    )


def _boot_order(device: etree._Element) -> int:
    boot = device.find("boot")
    order = "" if boot is None else boot.get("order", "")
    return int(order) if order.isascii() and order.isdecimal() else 0


def _tpm(root: etree._Element) -> str:
    backend = root.find("devices/tpm/backend")
    if backend is None:
        return ""
    return f"{backend.get('type', '')} {backend.get('version', '')}".strip()


def _is_nesting(root: etree._Element) -> bool | None:
    """Whether its processor has what it takes, whoever made it. None: the processor is emulated."""
    if root.get("type") == "qemu":
        return None
    features = root.iterfind("cpu/feature[@policy='disable']")
    return not {one.get("name") for one in features}.issuperset(NESTING)


def _machine(root: etree._Element) -> str:
    """The family: libvirt replaces q35 by the version that QEMU has."""
    kind = root.find("os/type")
    machine = "" if kind is None else kind.get("machine", "")
    if "q35" in machine:
        return "q35"
    return "i440fx" if machine in ("pc", "") or "i440fx" in machine else machine


def _others(root: etree._Element) -> Iterator[OtherDevice]:
    devices = root.find("devices")
    for device in () if devices is None else devices.iterchildren(tag=etree.Element):
        if device.tag not in _PLAIN_DEVICES:
            yield OtherDevice(name=str(device.tag), has_content=has_content(device))
    for extra in root.iterchildren(tag=etree.Element):
        if has_content(extra):
            yield OtherDevice(name=_WITH_CONTENT[str(extra.tag)], has_content=True)
