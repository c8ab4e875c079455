"""Reads and edits the XML of domains that somebody else made, for their adoption. Pure.

A function changes what its name says and nothing else. Comments, the order of elements, foreign
namespaces and elements that Pizarra does not know stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from pizarra.compute.domain_xml import AGENT
from pizarra.compute.elements import element as el
from pizarra.compute.seat_metadata import NAMESPACE, SeatMetadata, seat_element
from pizarra.errors import BadInput, NotFound, Unsupported
from pizarra.model.labels import Firmware

_BLOCK_DRIVER = {
    "name": "qemu",
    "type": "raw",
    "cache": "none",
    "io": "native",
    "discard": "unmap",
}

NVRAM_FOLDER, _SWTPM = Path("/var/lib/libvirt/qemu/nvram"), Path("/var/lib/libvirt/swtpm")
_MEMORY_UNITS = {"b": 1, "bytes": 1, "KB": 10**3, "k": 2**10, "KiB": 2**10, "MB": 10**6,
                 "M": 2**20, "MiB": 2**20, "GB": 10**9, "G": 2**30, "GiB": 2**30}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSeen:
    """One disk of a domain, as the XML describes it."""

    target: str  # vda
    path: str  # empty for an empty drive, a network disk, a disk of a storage pool
    type: str  # file, block, network, volume, …
    format: str  # raw when the XML names none, as in libvirt
    device: str  # disk, cdrom, floppy, lun
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StateFiles:
    """The files of a machine's firmware state; None for what the machine does not have."""

    nvram: Path | None = None  # UEFI variables: a file, which the first start makes
    tpm: Path | None = None  # state of an emulated TPM: a folder, which the first start makes


def disks_of(xml: str) -> tuple[DiskSeen, ...]:
    """The disks, in the order of the XML."""
    return tuple(_read_disk(disk) for disk in parse_domain(xml).iterfind("devices/disk"))


def firmware_of(xml: str) -> Firmware:
    """UEFI if the XML asks libvirt for EFI firmware or names a pflash loader."""
    return read_firmware(parse_domain(xml))


def read_firmware(root: etree._Element) -> Firmware:
    """The same of XML that is parsed."""
    os = root.find("os")
    if os is None:
        return Firmware.BIOS
    loader = os.find("loader")
    flash = loader is not None and loader.get("type") == "pflash"
    return Firmware.UEFI if os.get("firmware") == "efi" or flash else Firmware.BIOS


def state_files_of(xml: str) -> StateFiles:
    """The paths of the firmware state: those in the XML, or else libvirt's defaults."""
    return read_state_files(parse_domain(xml))


def read_state_files(root: etree._Element) -> StateFiles:
    """The same of XML that is parsed."""
    nvram = None
    if read_firmware(root) is Firmware.UEFI:
        told = root.findtext("os/nvram", "").strip()
        nvram = Path(told) if told else nvram_file(root.findtext("name", "").strip())
    emulated = root.find("devices/tpm/backend[@type='emulator']") is not None
    return StateFiles(
        nvram=nvram, tpm=_SWTPM / root.findtext("uuid", "").strip() if emulated else None
    )


def nvram_file(name: str) -> Path:
    """Where libvirt keeps the UEFI variables of a machine whose XML names no file."""
    return NVRAM_FOLDER / f"{name}_VARS.fd"


def state_of(xml: str) -> str:
    """The firmware state as a label says it: "", "nvram", "tpm" or "nvram+tpm"."""
    files = state_files_of(xml)
    return "+".join(filter(None, ("nvram" if files.nvram else "", "tpm" if files.tpm else "")))


def replace_disk_source(xml: str, target: str, new_path: Path) -> str:
    """Put one disk of the domain on the block device ``new_path``, raw and without page cache.

    Bus, address, serial, boot order and limits stay, so the guest sees the same disk. Raises
    NotFound, and Unsupported for a disk that libvirt decrypts.
    """
    root = parse_domain(xml)
    disk = next((d for d in root.iterfind("devices/disk") if _target(d) == target), None)
    if disk is None:
        raise NotFound("The domain has no disk {target}.", target=target)
    if disk.find("encryption") is not None or disk.find("source/encryption") is not None:
        raise Unsupported("The disk {target} is encrypted by libvirt.", target=target)
    disk.set("type", "block")
    _replace_source(disk, new_path)
    _set_block_driver(disk)
    _remove_all(disk, "backingStore", "mirror")
    return _text(root)


def add_seat_metadata(xml: str, seat: SeatMetadata) -> str:
    """Add our metadata to the domain, in the place of any older metadata of ours."""
    root = parse_domain(xml)
    metadata = root.find("metadata")
    if metadata is None:
        metadata = el("metadata")
        _insert_after_last(root, ("title", "description", "uuid", "name"), metadata)
    _remove_all(metadata, f"{{{NAMESPACE}}}seat")
    _append(metadata, seat_element(seat))
    return _text(root)


def remove_seat_metadata(xml: str) -> str:
    """Remove our metadata, and the ``<metadata>`` element if nothing else is in it."""
    root = parse_domain(xml)
    metadata = root.find("metadata")
    if metadata is None or metadata.find(f"{{{NAMESPACE}}}seat") is None:
        return xml
    _remove_all(metadata, f"{{{NAMESPACE}}}seat")
    if len(metadata) == 0:
        _remove(metadata)
    return _text(root)


def seat_of(xml: str) -> tuple[str, str] | None:
    """(classroom, number) from our metadata; None when the domain is no seat of ours."""
    seat = parse_domain(xml).find(f"metadata/{{{NAMESPACE}}}seat")
    return None if seat is None else (seat.get("classroom", ""), seat.get("number", ""))


def agent_listens(xml: str) -> bool:
    """Whether a program in the running guest has opened the channel of its agent."""
    target = f"devices/channel/target[@name='{AGENT}'][@state='connected']"
    return parse_domain(xml).find(target) is not None


def resources_of(xml: str) -> tuple[int, int]:
    """(bytes of memory, vcpus); 0 for what the XML does not say in a plain form."""
    return read_resources(parse_domain(xml))


def read_resources(root: etree._Element) -> tuple[int, int]:
    """The same of XML that is parsed."""
    memory, vcpus = root.find("memory"), root.findtext("vcpu", "").strip()
    memory_bytes = 0
    if memory is not None and (memory.text or "").strip().isdecimal():
        memory_bytes = int(memory.text or 0) * _MEMORY_UNITS.get(memory.get("unit", "KiB"), 0)
    return memory_bytes, int(vcpus) if vcpus.isdecimal() else 0


def network_of(xml: str) -> str:
    """The network of a machine that we made, as its classroom's record says it: none, bridge=NAME,
    or isolated for a network of its own (whether that has a way out, only the network says)."""
    interface = parse_domain(xml).find("devices/interface")
    source = interface.find("source") if interface is not None else None
    if source is None:
        return "none"
    bridge = source.get("bridge")
    return f"bridge={bridge}" if bridge else "isolated"


def parse_domain(xml: str) -> etree._Element:
    """The root of a domain's XML. Raises BadInput when it is none."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        root = etree.fromstring(xml.encode(), parser)
    except etree.XMLSyntaxError as error:
        raise BadInput("This is not XML: {cause}", cause=error.msg) from None
    if root.tag != "domain":
        raise BadInput("This is the XML of a {tag}, not of a domain.", tag=root.tag)
    return root


def _text(root: etree._Element) -> str:
    """The XML with the comments around its root, each on a line; lxml drops the text between."""
    before = reversed(list(root.itersiblings(preceding=True)))
    nodes = (*before, root, *root.itersiblings())
    lines = (etree.tostring(node, encoding="unicode", with_tail=False) for node in nodes)
    return "\n".join(lines) + "\n"


def _target(disk: etree._Element) -> str:
    target = disk.find("target")
    return "" if target is None else target.get("dev", "")


def _read_disk(disk: etree._Element) -> DiskSeen:
    source, driver = disk.find("source"), disk.find("driver")
    kind = disk.get("type", "file")
    path = {"file": "file", "block": "dev"}.get(kind)
    return DiskSeen(
        target=_target(disk),
        path=source.get(path, "") if source is not None and path else "",
        type=kind,
        format="raw" if driver is None else driver.get("type", "raw"),
        device=disk.get("device", "disk"),
        read_only=disk.find("readonly") is not None,
    )


def _replace_source(disk: etree._Element, new_path: Path) -> None:
    """Keep only the seclabels of the old source; the rest described the old disk."""
    source = disk.find("source")
    if source is None:
        source = el("source")
        disk.insert(0, source)
    source.attrib.clear()
    source.set("dev", str(new_path))
    for child in [child for child in source if child.tag not in ("seclabel", etree.Comment)]:
        _remove(child)


def _set_block_driver(disk: etree._Element) -> None:
    """Set the driver for a block device. Queues, I/O threads and error policies stay."""
    driver = disk.find("driver")
    if driver is None:
        driver = el("driver")
        disk.insert(0, driver)
    for name, value in _BLOCK_DRIVER.items():
        driver.set(name, value)
    if "discard_no_unref" in driver.attrib:
        del driver.attrib["discard_no_unref"]
    _remove_all(driver, "metadata_cache")


def _remove_all(parent: etree._Element, *tags: str) -> None:
    for tag in tags:
        for child in parent.findall(tag):
            _remove(child)


def _remove(child: etree._Element) -> None:
    """Remove an element and keep the text behind it, which lxml would drop too."""
    parent, behind = child.getparent(), child.tail or ""
    assert parent is not None, "only children are removed"
    before = child.getprevious()
    if behind.strip():
        if before is None:
            parent.text = (parent.text or "") + behind
        else:
            before.tail = (before.tail or "") + behind
    parent.remove(child)


def _append(parent: etree._Element, new: etree._Element) -> None:
    """Append an element with the indentation of its siblings."""
    if len(parent):
        new.tail, parent[-1].tail = parent[-1].tail, parent.text
    parent.append(new)


def _insert_after_last(root: etree._Element, tags: tuple[str, ...], new: etree._Element) -> None:
    places = [index for index, child in enumerate(root) if child.tag in tags]
    if not places:
        raise BadInput("The domain has no name.")
    new.tail = root[places[-1]].tail
    root.insert(places[-1] + 1, new)
