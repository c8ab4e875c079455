"""Reads and edits the XML of domains that somebody else made, for their adoption. Pure.

An edit changes what its name says and nothing else: comments, order, foreign namespaces and
elements that we do not know stay as they are.
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
    """One disk of a domain, as its XML has it."""

    target: str  # vda
    path: str  # empty for an empty drive, a network disk, a disk of a storage pool
    type: str  # file, block, network, volume, …
    format: str  # raw when the XML does not say, as libvirt takes it
    device: str  # disk, cdrom, floppy, lun
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StateFiles:
    """What a machine keeps outside its disks; None for what it does not have."""

    nvram: Path | None = None  # its UEFI variables: a file, once it was started
    tpm: Path | None = None  # of an emulated TPM: a folder, once it was started


def disks_of(xml: str) -> tuple[DiskSeen, ...]:
    """The disks in the order of the XML."""
    return tuple(_disk_seen(disk) for disk in _parsed(xml).iterfind("devices/disk"))


def firmware_of(xml: str) -> Firmware:
    """UEFI when libvirt is told to find it, or a pflash loader stands there."""
    os = _parsed(xml).find("os")
    if os is None:
        return Firmware.BIOS
    loader = os.find("loader")
    flash = loader is not None and loader.get("type") == "pflash"
    return Firmware.UEFI if os.get("firmware") == "efi" or flash else Firmware.BIOS


def state_files_of(xml: str) -> StateFiles:
    """Where libvirt puts them, or the XML says."""
    root = _parsed(xml)
    nvram = None
    if firmware_of(xml) is Firmware.UEFI:
        told = root.findtext("os/nvram", "").strip()
        nvram = (
            Path(told) if told else NVRAM_FOLDER / f"{root.findtext('name', '').strip()}_VARS.fd"
        )
    emulated = root.find("devices/tpm/backend[@type='emulator']") is not None
    return StateFiles(
        nvram=nvram, tpm=_SWTPM / root.findtext("uuid", "").strip() if emulated else None
    )


def state_of(xml: str) -> str:
    """The same as a label says it: "", "nvram", "tpm" or "nvram+tpm"."""
    files = state_files_of(xml)
    return "+".join(filter(None, ("nvram" if files.nvram else "", "tpm" if files.tpm else "")))


def replace_disk_source(xml: str, target: str, new_path: Path) -> str:
    """The domain with one disk on the block device ``new_path``, raw and past the page cache.

    Its bus, address, serial, boot order and limits stay, so the guest sees the same disk. Raises
    NotFound, and Unsupported for a disk that libvirt decrypts.
    """
    root = _parsed(xml)
    disk = next((d for d in root.iterfind("devices/disk") if _target(d) == target), None)
    if disk is None:
        raise NotFound("The domain has no disk {target}.", target=target)
    if disk.find("encryption") is not None or disk.find("source/encryption") is not None:
        raise Unsupported("The disk {target} is encrypted by libvirt.", target=target)
    disk.set("type", "block")
    _source_replaced(disk, new_path)
    _driver_for_block(disk)
    _without(disk, "backingStore", "mirror")
    return _text(root)


def add_seat_metadata(xml: str, seat: SeatMetadata) -> str:
    """The domain with our metadata, in the place of any it had."""
    root = _parsed(xml)
    metadata = root.find("metadata")
    if metadata is None:
        metadata = el("metadata")
        _put_after_the_last_of(root, ("title", "description", "uuid", "name"), metadata)
    _without(metadata, f"{{{NAMESPACE}}}seat")
    _appended(metadata, seat_element(seat))
    return _text(root)


def remove_seat_metadata(xml: str) -> str:
    """The domain as an ordinary machine again: our metadata gone, and its element if empty now."""
    root = _parsed(xml)
    metadata = root.find("metadata")
    if metadata is None or metadata.find(f"{{{NAMESPACE}}}seat") is None:
        return xml
    _without(metadata, f"{{{NAMESPACE}}}seat")
    if len(metadata) == 0:
        _removed(metadata)
    return _text(root)


def seat_of(xml: str) -> tuple[str, str] | None:
    """(classroom, number) as our metadata tells; None when the domain is no seat of ours."""
    seat = _parsed(xml).find(f"metadata/{{{NAMESPACE}}}seat")
    return None if seat is None else (seat.get("classroom", ""), seat.get("number", ""))


def agent_listens(xml: str) -> bool:
    """Whether a program in the running guest has opened the channel of its agent."""
    target = f"devices/channel/target[@name='{AGENT}'][@state='connected']"
    return _parsed(xml).find(target) is not None


def resources_of(xml: str) -> tuple[int, int]:
    """Memory in bytes and vcpus; 0 for what the XML does not say simply."""
    root = _parsed(xml)
    memory, vcpus = root.find("memory"), root.findtext("vcpu", "").strip()
    memory_bytes = 0
    if memory is not None and (memory.text or "").strip().isdecimal():
        memory_bytes = int(memory.text or 0) * _MEMORY_UNITS.get(memory.get("unit", "KiB"), 0)
    return memory_bytes, int(vcpus) if vcpus.isdecimal() else 0


def network_of(xml: str) -> str:
    """The network of a machine that we made, as its classroom's record says it: none, bridge=NAME,
    or isolated for a network of its own (whether that has a way out, only the network says)."""
    interface = _parsed(xml).find("devices/interface")
    source = interface.find("source") if interface is not None else None
    if source is None:
        return "none"
    bridge = source.get("bridge")
    return f"bridge={bridge}" if bridge else "isolated"


def _parsed(xml: str) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        root = etree.fromstring(xml.encode(), parser)
    except etree.XMLSyntaxError as error:
        raise BadInput("This is not XML: {cause}", cause=error.msg) from None
    if root.tag != "domain":
        raise BadInput("This is the XML of a {tag}, not of a domain.", tag=root.tag)
    return root


def _text(root: etree._Element) -> str:
    """With the comments around the root, each on a line: lxml drops the text between them."""
    before = reversed(list(root.itersiblings(preceding=True)))
    nodes = (*before, root, *root.itersiblings())
    lines = (etree.tostring(node, encoding="unicode", with_tail=False) for node in nodes)
    return "\n".join(lines) + "\n"


def _target(disk: etree._Element) -> str:
    target = disk.find("target")
    return "" if target is None else target.get("dev", "")


def _disk_seen(disk: etree._Element) -> DiskSeen:
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


def _source_replaced(disk: etree._Element, new_path: Path) -> None:
    """Of the old source only its seclabels stay: hosts, slices, data files were the old disk's."""
    source = disk.find("source")
    if source is None:
        source = el("source")
        disk.insert(0, source)
    source.attrib.clear()
    source.set("dev", str(new_path))
    for child in [child for child in source if child.tag not in ("seclabel", etree.Comment)]:
        _removed(child)


def _driver_for_block(disk: etree._Element) -> None:
    """Queues, I/O threads and error policies stay; what only qcow2 has goes."""
    driver = disk.find("driver")
    if driver is None:
        driver = el("driver")
        disk.insert(0, driver)
    for name, value in _BLOCK_DRIVER.items():
        driver.set(name, value)
    if "discard_no_unref" in driver.attrib:
        del driver.attrib["discard_no_unref"]
    _without(driver, "metadata_cache")


def _without(parent: etree._Element, *tags: str) -> None:
    for tag in tags:
        for child in parent.findall(tag):
            _removed(child)


def _removed(child: etree._Element) -> None:
    """lxml drops the text behind an element with it; here that is the next one's indentation."""
    parent, behind = child.getparent(), child.tail or ""
    assert parent is not None, "only children are removed"
    before = child.getprevious()
    if behind.strip():
        if before is None:
            parent.text = (parent.text or "") + behind
        else:
            before.tail = (before.tail or "") + behind
    parent.remove(child)


def _appended(parent: etree._Element, new: etree._Element) -> None:
    """Indented as its siblings are."""
    if len(parent):
        new.tail, parent[-1].tail = parent[-1].tail, parent.text
    parent.append(new)


def _put_after_the_last_of(
    root: etree._Element, tags: tuple[str, ...], new: etree._Element
) -> None:
    places = [index for index, child in enumerate(root) if child.tag in tags]
    if not places:
        raise BadInput("The domain has no name.")
    new.tail = root[places[-1]].tail
    root.insert(places[-1] + 1, new)
