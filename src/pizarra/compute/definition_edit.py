"""Changes what Pizarra decides of a machine, and leaves what somebody else did to it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy

from lxml import etree

from pizarra.compute.definition import has_content
from pizarra.compute.domain_edit import parse_domain
from pizarra.compute.domain_xml import NESTING
from pizarra.compute.seat_metadata import SEAT

_DISKS = ("disk", "lun")  # not the drives for CDs and floppies
_PLACE = ("target", "address")  # where a disk is plugged in
# an element of a domain, and those that must fit to it: libvirt refuses a machine else
_TOGETHER = {
    "title": ["title"],
    "memory": ["memory", "currentMemory", "maxMemory"],
    "vcpu": ["vcpu", "vcpus", "cpu"],
}
_PARTS = (("cputune", "shares"), ("blkiotune", "weight"), ("metadata", SEAT))


def carry_changes(present: str, was: str, now: str) -> str:
    """The XML ``present`` with what differs between ``was`` and ``now``, the XML that Pizarra made
    of the machine before and makes of it from now on; but for its disks. Raises BadInput."""
    root, old, new = parse_domain(present), parse_domain(was), parse_domain(now)
    for tag, tags in _TOGETHER.items():
        if _text(old, [tag]) != _text(new, [tag]):
            _replace_parts(root, new, tags)
    for parent, part in _PARTS:
        path = f"{parent}/{part}"
        if _text(old, [path]) != _text(new, [path]):
            _replace_parts(_child(root, parent), _child(new, parent), [part])
    _carry_cards(root, old, new)
    return etree.tostring(root, encoding="unicode")


def replace_content(present: str, made: str) -> str:
    """The XML ``present`` with the disks, the boot order, the firmware, the TPM and the limits of
    ``made``, and without devices that bring content of their own. A disk stays on its bus. Raises
    BadInput."""
    root, model = parse_domain(present), parse_domain(made)
    _replace_os(root, model)
    _replace_limits(root, model)
    _replace_devices(_child(root, "devices"), _child(model, "devices"))
    for extra in [one for one in root.iterchildren(tag=etree.Element) if has_content(one)]:
        root.remove(extra)
    return etree.tostring(root, encoding="unicode")


def _replace_devices(devices: etree._Element, wanted: etree._Element) -> None:
    ours = [device for device in wanted.iterchildren(tag=etree.Element) if _is_content(device)]
    names = {_target(device) for device in ours} - {""}
    places = dict[str, etree._Element]()
    for device in list(devices.iterchildren(tag=etree.Element)):
        if _is_content(device):
            places[_target(device)] = device
        if _is_content(device) or _target(device) in names:
            devices.remove(device)
        else:
            _remove_all(device, ["boot"])
    for device in ours:
        devices.append(deepcopy(device))
        if (place := places.get(_target(device))) is not None and device.tag == "disk":
            _replace_parts(devices[-1], place, _PLACE)


def _target(device: etree._Element) -> str:
    """What a disk or a drive is called; empty for another device."""
    target = device.find("target") if device.tag == "disk" else None
    return "" if target is None else target.get("dev", "")


def _replace_os(root: etree._Element, model: etree._Element) -> None:
    """All but the type of the machine, to which the addresses of its devices belong."""
    os, wanted = _child(root, "os"), deepcopy(_child(model, "os"))
    wanted.replace(_child(wanted, "type"), deepcopy(_child(os, "type")))
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


def _carry_cards(root: etree._Element, old: etree._Element, new: etree._Element) -> None:
    """Its network cards, by their addresses. One that goes on stays in its slot."""
    before, after = _cards(old), _cards(new)
    present, devices = _cards(root), _child(root, "devices")
    for mac in before.keys() | after.keys():
        gone, wanted = present.get(mac), after.get(mac)
        if _text(before.get(mac)) == _text(wanted):
            continue
        if gone is not None:
            devices.remove(gone)
        if wanted is not None:
            devices.append(deepcopy(wanted))
            if gone is not None:
                _replace_parts(devices[-1], gone, ["address"])


def _cards(root: etree._Element) -> dict[str, etree._Element]:
    return {_mac(card): card for card in root.iterfind("devices/interface")}


def _replace_parts(of: etree._Element, by: etree._Element, paths: Iterable[str]) -> None:
    paths = list(paths)
    _remove_all(of, paths)
    of.extend(deepcopy(part) for path in paths for part in by.findall(path))


def _remove_all(of: etree._Element, paths: Iterable[str]) -> None:
    for part in [part for path in paths for part in of.findall(path)]:
        of.remove(part)


def _text(of: etree._Element | None, paths: Iterable[str] = (".",)) -> list[bytes]:
    """What these parts say, to be compared."""
    parts = () if of is None else (part for path in paths for part in of.findall(path))
    return [etree.tostring(part, method="c14n") for part in parts]


def _child(of: etree._Element, tag: str) -> etree._Element:
    """The child of this name, made if there is none."""
    found = of.find(tag)
    return etree.SubElement(of, tag) if found is None else found


def _mac(card: etree._Element) -> str:
    mac = card.find("mac")
    return "" if mac is None else mac.get("address", "").lower()


def _is_content(device: etree._Element) -> bool:
    is_disk = device.tag == "disk" and device.get("device", "disk") in _DISKS
    return is_disk or device.tag == "tpm" or has_content(device)
