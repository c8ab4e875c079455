"""Reads what a machine is defined to be from libvirt's XML. Pure.

Only what decides what a start would use is read, in the same form for XML of ours and for XML that
libvirt completed. https://libvirt.org/formatdomain.html
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from pizarra.compute.domain_edit import firmware_of, parse_domain, resources_of, state_files_of
from pizarra.model.definition import Definition, DiskDefinition, NicDefinition

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


def parse_definition(xml: str) -> Definition:
    """Read inactive XML or that of a running machine. Raises BadInput when it is no domain."""
    root = parse_domain(xml)
    memory_bytes, vcpus = resources_of(xml)
    nvram = state_files_of(xml).nvram
    return Definition(
        disks=tuple(map(_disk, root.iterfind("devices/disk"))),
        boot=tuple(one.get("dev", "") for one in root.iterfind("os/boot")),
        firmware=firmware_of(xml),
        loader=root.findtext("os/loader", "").strip(),
        nvram=str(nvram) if nvram else "",
        kernel=root.findtext("os/kernel", "").strip(),
        tpm=_tpm(root),
        machine=_machine(root),
        memory_bytes=memory_bytes,
        vcpus=vcpus,
        nics=tuple(map(_nic, root.iterfind("devices/interface"))),
        others=tuple(sorted(_others(root))),
    )


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
    named = "" if source is None else source.get({"direct": "dev"}.get(kind, kind), "")
    return NicDefinition(
        mac="" if mac is None else mac.get("address", "").lower(),
        type=kind,
        source=named,
        model="" if model is None else model.get("type", ""),
        boot=_boot_order(nic),
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


def _machine(root: etree._Element) -> str:
    """The family: libvirt replaces q35 by the version that QEMU has."""
    kind = root.find("os/type")
    machine = "" if kind is None else kind.get("machine", "")
    if "q35" in machine:
        return "q35"
    return "i440fx" if machine in ("pc", "") or "i440fx" in machine else machine


def _others(root: etree._Element) -> Iterator[str]:
    devices = root.find("devices")
    for device in () if devices is None else devices.iterchildren(tag=etree.Element):
        if device.tag not in _PLAIN_DEVICES:
            yield str(device.tag)
    for extra in ("commandline", "override"):
        if root.find(f"{_QEMU}{extra}") is not None:
            yield f"qemu:{extra}"
