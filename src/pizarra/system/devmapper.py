"""device-mapper through its ioctls (linux/dm-ioctl.h): tables, suspend, messages to a target.

There is no process and no library in between: a table swap is three ioctls. The buffer of an ioctl
is so small that Python releases its lock meanwhile (see ``_BUFFER_BYTES``). So swaps of different
devices overlap while each waits for the kernel's RCU, and a disk that hangs stops its own thread
only.

A resume of a device sends a change event to udev. udev's rules would then scan the disk, which is a
student's disk or gives errors only. libdevmapper's flags against the scan travel with the event.
Where Pizarra's own rules are installed (packaging/udev), the event also tells udev to start no
process. Without these rules only the first event of a device carries the flags: udev remembers
them, and an event with flags costs two processes more than one without.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pizarra.errors import HostNotFit, StorageFault
from pizarra.model.sentence import N_, Sentence
from pizarra.system.flight import record
from pizarra.system.patience import patient

CONTROL = Path("/dev/mapper/control")
SECTOR_BYTES = 512
_HEADER = struct.Struct("=3I I I I i I I I Q 128s 129s 7x")
_TARGET = struct.Struct("=QQiI16s")
_IOCTL = 0xC138FD00  # and the command: of dm-ioctl.h, with a header of 312 bytes
_BUFFER_BYTES = 1024  # with a larger buffer, fcntl.ioctl keeps Python's lock (CPython 3.11)
_SUSPEND, _STATUS_TABLE = 1 << 1, 1 << 4
_BUFFER_FULL = 1 << 8
_SKIP_LOCKFS, _NOFLUSH = 1 << 10, 1 << 11
# DM_UDEV_DISABLE_DISK_RULES_FLAG | DM_UDEV_PRIMARY_SOURCE_FLAG, as libdevmapper passes flags:
# in the upper half of event_nr. The flags against other rules would remove /dev/<vg>/<lv>.
_UDEV_NO_SCAN = (0x0004 | 0x0040) << 16
# With a flag for a subsystem that LVM does not use: packaging/udev/09-pizarra-rewind.rules.
_UDEV_SWAP = _UDEV_NO_SCAN | 0x8000 << 16
_UDEV_RULES = ("09-pizarra-rewind.rules", "57-pizarra-rewind.rules")
_UDEV_FOLDERS = (Path("/etc/udev/rules.d"), Path("/usr/lib/udev/rules.d"))
_UDEV_DATA = Path("/run/udev/data")
_UDEV_REMEMBERS = "DM_UDEV_DISABLE_DISK_RULES_FLAG=1"
BLKFLSBUF = 0x1261
LIMIT_S = 60.0  # for I/O on a device to end


class _Command(IntEnum):
    LIST_DEVICES = 2
    DEV_SUSPEND = 6
    TABLE_LOAD = 9
    TABLE_STATUS = 12
    LIST_VERSIONS = 13
    TARGET_MSG = 14


@dataclass(frozen=True, slots=True)
class Device:
    """A device-mapper device as the kernel has it now."""

    name: str
    number: str  # "254:3"
    node: Path  # /dev/dm-3: exists as long as the device does, whatever udev is doing
    uuid: str  # of an LVM device: LVM-<VG's uuid><LV's uuid>, without hyphens
    suspended: bool
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """One line of a table or of its status, as ``dmsetup table`` prints it."""

    start: int
    length: int
    kind: str
    text: str


class _Reply(NamedTuple):
    targets: int
    flags: int
    dev: int
    uuid: str


def dm_name(vg: str, lv: str) -> str:
    """The name of an LV's device: LVM doubles hyphens inside a name."""
    return f"{vg.replace('-', '--')}-{lv.replace('-', '--')}"


def _send(
    command: _Command,
    name: str,
    *,
    uuid: str = "",
    flags: int = 0,
    event: int = 0,
    count: int = 0,
    payload: bytes = b"",
    said: str = "",
) -> None:
    """Make one ioctl whose answer is a header only. ``said`` is the payload, for people.

    The kernel finds the device by ``uuid`` where that is given, and ``name`` is then for people
    too. Raises OSError, which the caller explains, and StorageFault at the limit.
    """
    call = f"dm {command.name} {name} {said}".rstrip()
    record(call)
    known = (b"", uuid.encode()) if uuid else (name.encode(), b"")
    size = _HEADER.size + len(payload)
    header = _HEADER.pack(4, 0, 0, size, _HEADER.size, count, 0, flags, event, 0, 0, *known)
    with patient(call, LIMIT_S):
        fcntl.ioctl(_control(), _IOCTL | command, header + payload)


def _ask(command: _Command, name: str = "", *, flags: int = 0) -> tuple[_Reply, bytes]:
    """A command with an answer, and the data of that. Raises as ``_send`` does."""
    call = f"dm {command.name} {name}".rstrip()
    record(call)
    size = _BUFFER_BYTES
    while True:
        header = _HEADER.pack(
            4, 0, 0, size, _HEADER.size, 0, 0, flags, 0, 0, 0, name.encode(), b""
        )  # fmt: skip
        buffer = bytearray(header)
        buffer.extend(bytes(size - len(buffer)))
        with patient(call, LIMIT_S):
            fcntl.ioctl(_control(), _IOCTL | command, buffer)
        fields = _HEADER.unpack_from(buffer)
        if not fields[7] & _BUFFER_FULL:
            reply = _Reply(fields[5], fields[7], fields[10], fields[12].rstrip(b"\0").decode())
            return reply, bytes(buffer[fields[4] : fields[3]])
        size *= 4


@cache
def _control() -> int:
    """The control device, opened once: a rewind makes a dozen calls a seat."""
    try:
        return os.open(CONTROL, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise HostNotFit(
            "device-mapper cannot be used: {cause}.",
            "Load it with: modprobe dm_mod; and run as root.",
            cause=error.strerror,
        ) from None


def _refuse(what: str, name: str, error: OSError) -> StorageFault:
    return StorageFault(
        "device-mapper refused to {what} {name}: {cause}.",
        "The kernel log says why: dmesg | tail",
        what=what,
        name=name,
        cause=error.strerror,
        errno=error.errno,
    )


def devices() -> frozenset[str]:
    """The names of all device-mapper devices, in one call."""
    _, data = _ask(_Command.LIST_DEVICES)
    names, offset = set(), 0
    while offset + 12 <= len(data):
        device, step = struct.unpack_from("=QI", data, offset)
        if device:
            end = data.index(b"\0", offset + 12)
            names.add(data[offset + 12 : end].decode())
        if not step:
            break
        offset += step
    return frozenset(names)


def target_versions() -> dict[str, tuple[int, int, int]]:
    """Name -> version of the targets that the kernel has loaded, as ``dmsetup targets``."""
    _, data = _ask(_Command.LIST_VERSIONS)
    found, offset = {}, 0
    while offset + 16 <= len(data):
        step, *version = struct.unpack_from("=IIII", data, offset)
        end = data.index(b"\0", offset + 16)
        found[data[offset + 16 : end].decode()] = (version[0], version[1], version[2])
        if not step:
            break
        offset += step
    return found


def device(name: str) -> Device | None:
    """The device of this name with its live table, or None."""
    return _query(name, _STATUS_TABLE)


def status(name: str) -> tuple[Target, ...]:
    """The status of the device's targets; empty when there is no such device."""
    found = _query(name, _NOFLUSH)
    return found.targets if found else ()


def _query(name: str, flags: int) -> Device | None:
    try:
        header, data = _ask(_Command.TABLE_STATUS, name, flags=flags)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            return None
        raise _refuse(N_("look at"), name, error) from None
    number = f"{os.major(header.dev)}:{os.minor(header.dev)}"
    targets = tuple(_targets(data, header.targets))
    node = Path(f"/dev/dm-{os.minor(header.dev)}")
    return Device(name, number, node, header.uuid, bool(header.flags & _SUSPEND), targets)


def _targets(data: bytes, count: int) -> Iterator[Target]:
    offset = 0
    for _ in range(count):
        start, length, _, step, kind = _TARGET.unpack_from(data, offset)
        text_at = offset + _TARGET.size
        text = data[text_at : data.index(b"\0", text_at)].decode()
        yield Target(start, length, kind.rstrip(b"\0").decode(), text)
        offset = step


def _has_udev_flag(device: Device) -> bool:
    """Whether udev remembers the flag against scans of this device."""
    try:
        return _UDEV_REMEMBERS in (_UDEV_DATA / f"b{device.number}").read_text(encoding="utf-8")
    except OSError:
        return False


@cache
def _has_udev_rules() -> bool:
    """Whether Pizarra's udev rules are installed on this host."""
    return any(all((folder / name).is_file() for name in _UDEV_RULES) for folder in _UDEV_FOLDERS)


def load(device: Device, target: Target) -> None:
    """Load a table of one target beside the live one; ``resume`` makes it live.

    The kernel finds the device by its UUID: never another one that got its name meanwhile.
    """
    text = target.text.encode() + b"\0"
    text += bytes(-len(text) % 8)
    spec = _TARGET.pack(
        target.start, target.length, 0, _TARGET.size + len(text), target.kind.encode()
    )
    try:
        _send(
            _Command.TABLE_LOAD,
            device.name,
            uuid=device.uuid,
            count=1,
            payload=spec + text,
            said=f"{target.kind} {target.text}",
        )
    except OSError as error:
        what = Sentence("load a {kind} table for", kind=target.kind)
        raise _refuse(what, device.name, error) from None


def resume(device: Device, *, quiet: bool = False) -> None:
    """Make the loaded table live, whoever holds the device open.

    The call suspends first by itself (no flush, no freeze of a file system) and waits for RCU.
    ``quiet``: the last event of this device carried the flags against a scan.
    """
    if _has_udev_rules():
        event = _UDEV_SWAP
    else:
        event = 0 if quiet or _has_udev_flag(device) else _UDEV_NO_SCAN
    flags = _NOFLUSH | _SKIP_LOCKFS
    try:
        _send(_Command.DEV_SUSPEND, device.name, uuid=device.uuid, flags=flags, event=event)
    except OSError as error:
        raise _refuse(N_("resume"), device.name, error) from None


def swap(device: Device, target: Target, *, quiet: bool = False) -> None:
    """Replace the live table by ``target``. When the load fails, nothing has changed."""
    load(device, target)
    resume(device, quiet=quiet)


def error_target(length: int) -> Target:
    """A table on which every I/O fails. A seat has it while its content is exchanged."""
    return Target(0, length, "error", "")


def message(name: str, text: str) -> None:
    """Send a message to the target at sector 0.

    Raises StorageFault, with ``errno`` in its facts.
    """
    payload = struct.pack("=Q", 0) + text.encode() + b"\0"
    try:
        _send(_Command.TARGET_MSG, name, payload=payload, said=text)
    except OSError as error:
        raise _refuse(Sentence("carry out {text!r} on", text=text), name, error) from None


def flush_page_cache(device: Path) -> None:
    """Write out and drop a device's pages in the host's page cache (``blockdev --flushbufs``).

    The cache does not see that the content below was exchanged. A buffered reader would see the
    last student's data, and dirty pages would be written to the fresh seat. Raises StorageFault.
    """
    fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, BLKFLSBUF, 0)
    except OSError as error:
        raise _refuse(N_("drop the cached pages of"), str(device), error) from None
    finally:
        os.close(fd)
