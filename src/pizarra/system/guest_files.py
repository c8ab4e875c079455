"""Copies files out of a guest's disk. The guest is hostile: a machine of its own reads the disk.

No link in the guest is followed: a link is left out and reported. Only plain files and folders
come out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pizarra.errors import AlreadyExists, BadInput, NotFound, StorageFault, Unsupported
from pizarra.system.appliance import Appliance, Partition
from pizarra.system.own_folder import opening_folder
from pizarra.system.tar_stream import Copied, Unpacking

_SAFE = "ro,nodev,nosuid,noexec"
# blkid's name: (the drivers, options with which a mount writes nothing, not even a journal)
_KINDS = {
    "ext2": (("ext4",), "noload"),
    "ext3": (("ext4",), "noload"),
    "ext4": (("ext4",), "noload"),
    "xfs": (("xfs",), "norecovery,nouuid"),
    "btrfs": (("btrfs",), "rescue=nologreplay"),
    "vfat": (("vfat",), "utf8"),
    "exfat": (("exfat",), "iocharset=utf8"),
    "ntfs": (("ntfs3", "fuse"), ""),
}


def mount(appliance: Appliance, number: int | None) -> Partition:
    """Have the machine mount a partition: ``number``, or the largest that it can read.

    Raises NotFound, Unsupported, StorageFault.
    """
    part = choose_partition(appliance.partitions(), number)
    drivers, quiet = _KINDS[part.kind]
    driver = next((one for one in drivers if one in appliance.drivers), "")
    if not driver:
        raise Unsupported(
            "The kernel of this host has no driver for {kind}.",
            "For ntfs: apt install ntfs-3g",
            kind=part.kind,
        )
    why = appliance.mount(part, driver, ",".join(filter(None, (_SAFE, quiet))))
    if why:
        raise StorageFault(
            "The file system ({kind}) cannot be read: {why}",
            "It may be damaged, or too new for the kernel of this host.",
            kind=part.kind,
            why=_shown(why)[:300],
        )
    return part


def choose_partition(found: Sequence[Partition], number: int | None) -> Partition:
    """Partition ``number``, or the largest with a file system. Raises NotFound, Unsupported."""
    shown = ", ".join(f"{one.number} {_shown(one.kind) or 'unknown'}" for one in found) or "none"
    if number is not None and number not in {one.number for one in found}:
        raise NotFound("The disk has no partition {n}.", "It has: {those}.", n=number, those=shown)
    wanted = [one for one in found if number in (None, one.number) and one.kind in _KINDS]
    if not wanted:
        raise Unsupported(
            "No file system that can be read is on the disk: {those}.",
            "Look at the device itself on another computer.",
            those=shown,
        )
    return max(wanted, key=lambda one: one.size_bytes)


def _shown(text: str) -> str:
    """Without what a terminal takes for orders."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def names_of(path: str) -> list[str]:
    """The names on the way to a file of a guest. Raises BadInput."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise BadInput("The path {path} leads upwards.", path=path)
    if "\n" in path or "\0" in path:
        raise BadInput("The path {path!r} has a line break.", "Name the folder above.", path=path)
    return parts


def copy_out(
    appliance: Appliance,
    path: str,
    target: Path,
    *,
    limit_bytes: int,
    progress: Callable[[int], None],
) -> Copied:
    """Copy a file or folder of a mounted guest into the folder ``target``, made if it is missing.

    No link is followed, in the guest or on the way to the target, unless root made the link.
    Raises NotFound, BadInput, AlreadyExists, StorageFault.
    """
    parts = names_of(path)
    new = parts[-1] if parts else "disk"
    copied = Copied()
    for count in range(1, len(parts) + 1):
        _check_no_link(appliance, parts[:count], path)
    try:
        with opening_folder(target, make=True) as to:
            wish = Unpacking(path=path, to=to, new=new, copied=copied, limit_bytes=limit_bytes,
                             progress=progress)  # fmt: skip
            appliance.send(wish, "/".join(parts) or ".")
    except FileExistsError:
        raise AlreadyExists(
            "{name} is in {target} already, and is not overwritten.",
            "Choose another folder.",
            name=new,
            target=target,
        ) from None
    except OSError as error:
        raise StorageFault("{path}: {why}.", path=path, why=error.strerror or error) from None
    return copied


def _check_no_link(appliance: Appliance, parts: Sequence[str], path: str) -> None:
    what, where = appliance.look("/".join(parts))
    if what == "missing":
        raise NotFound("There is no {path} in the guest.", path=path)
    if what == "link":
        raise BadInput(
            "{name} in {path} is a link in the guest, to {where!r}; links are not followed.",
            "Name the place that it leads to.",
            name=parts[-1],
            path=path,
            where=where,
        )
