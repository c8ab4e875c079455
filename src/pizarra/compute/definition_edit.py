"""Puts right what a machine boots from and writes to, and leaves its other hardware. Pure."""

from __future__ import annotations

from copy import deepcopy

from lxml import etree

from pizarra.compute.definition import has_content
from pizarra.compute.domain_edit import parse_domain
from pizarra.compute.domain_xml import NESTING

_DISKS = ("disk", "lun")  # not the drives for CDs and floppies


def replace_content(present: str, made: str) -> str:
    """The XML ``present`` with the disks, the boot order, the firmware, the TPM and the limits of
    ``made``, and without devices that bring content of their own. Raises BadInput."""
    root, model = parse_domain(present), parse_domain(made)
    _replace_os(root, model)
    _replace_limits(root, model)
    devices, wanted = _devices(root), _devices(model)
    for device in list(devices.iterchildren(tag=etree.Element)):
        if _is_content(device):
            devices.remove(device)
        else:
            _remove_boot_order(device)
    for device in wanted.iterchildren(tag=etree.Element):
        if _is_content(device):
            devices.append(deepcopy(device))
    for extra in [one for one in root.iterchildren(tag=etree.Element) if has_content(one)]:
        root.remove(extra)
    return etree.tostring(root, encoding="unicode")


def _replace_os(root: etree._Element, model: etree._Element) -> None:
    """All but the type of the machine, to which the addresses of its devices belong."""
    os, wanted = root.find("os"), deepcopy(model.find("os"))
    assert os is not None and wanted is not None, "every domain has one"
    kind, other = os.find("type"), wanted.find("type")
    assert kind is not None and other is not None, "every domain has one"
    wanted.replace(other, deepcopy(kind))
    root.replace(os, wanted)


def _replace_limits(root: etree._Element, model: etree._Element) -> None:
    """Nested virtualisation, and the ports of the network cards that both have."""
    cpu, wanted = root.find("cpu"), model.find("cpu")
    if cpu is not None and wanted is not None:
        _replace_parts(cpu, wanted, [f"feature[@name='{name}']" for name in NESTING])
    cards = {_mac(card): card for card in model.iterfind("devices/interface")}
    for card in root.iterfind("devices/interface"):
        if (made := cards.get(_mac(card))) is not None:
            _replace_parts(card, made, ["target", "port"])


def _replace_parts(of: etree._Element, by: etree._Element, paths: list[str]) -> None:
    for path in paths:
        for part in of.findall(path):
            of.remove(part)
        of.extend(deepcopy(part) for part in by.findall(path))


def _mac(card: etree._Element) -> str:
    mac = card.find("mac")
    return "" if mac is None else mac.get("address", "").lower()


def _devices(root: etree._Element) -> etree._Element:
    devices = root.find("devices")
    assert devices is not None, "every domain has some"
    return devices


def _is_content(device: etree._Element) -> bool:
    is_disk = device.tag == "disk" and device.get("device", "disk") in _DISKS
    return is_disk or device.tag == "tpm" or has_content(device)


def _remove_boot_order(device: etree._Element) -> None:
    for boot in device.findall("boot"):
        device.remove(boot)
