"""A folder of qcow2 images as facts: no process, however many files there are.

``templates/net.qcow2`` and ``seats/net-01.qcow2``, each with its sidecar. An image without one is
somebody else's. A sidecar without its image, or one that cannot be read, is a volume with a fault.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pizarra.errors import NotOurs
from pizarra.model.disk_source import ImageFile
from pizarra.model.facts import Pool, StorageFacts, Volume
from pizarra.model.labels import Labels
from pizarra.model.sentence import Sentence, join
from pizarra.storage.kinds import Kind
from pizarra.storage.qcow2.header import Header, read_header
from pizarra.storage.qcow2.records import records_seen
from pizarra.storage.qcow2.sidecar import SUFFIX, read_sidecar

TEMPLATES, SEATS = "templates", "seats"
IMAGE = ".qcow2"
_FLOCK = struct.Struct("@hhqqi4x")
# QEMU locks single bytes of an image: 100 and up for what it does with it, 200 and up for what
# it lets others do (block/file-posix.c)
_QEMU_FIRST, _QEMU_COUNT = 100, 200


def observe_folder(folder: Path) -> StorageFacts:
    """Raises OSError."""
    volumes = [
        volume
        for part in (TEMPLATES, SEATS)
        for image in _images(folder / part)
        if (volume := _volume(folder, image)) is not None
    ]
    return StorageFacts(
        volumes=tuple(_mark_twins(volumes)),
        pools=(_pool(folder),),
        records=tuple(records_seen(folder)),
    )


def _images(folder: Path) -> list[Path]:
    """Those that are there and those of which only the sidecar is, by name."""
    if not folder.is_dir():
        return []
    files = [file.name for file in folder.iterdir() if not file.name.startswith(".")]
    named = {name.removesuffix(SUFFIX) for name in files}
    return [folder / name for name in sorted(named) if name.endswith(IMAGE)]


def observe_volume(folder: Path, image: Path) -> Volume | None:
    """One image as it is now; None when neither it nor its sidecar is there. Raises OSError."""
    return _volume(folder, image)


def _volume(folder: Path, image: Path) -> Volume | None:
    labels: Labels | None = None
    uuid, tags = "", tuple[str, ...]()
    faults: list[object] = []
    try:
        sidecar = read_sidecar(image)
    except NotOurs as error:
        faults.append(error)
    else:
        if sidecar:
            labels, uuid, tags = sidecar.labels, sidecar.uuid, sidecar.tags
    try:
        seen = image.stat()
    except FileNotFoundError:
        if not uuid and not faults:
            return None  # removed while we looked
        seen, header = None, None
        faults.append(Sentence("its sidecar is there and its image is not"))
    else:
        header = _header(image, faults if uuid else [])
    return Volume(
        kind=Kind.QCOW2,
        place=str(folder),
        name=image.stem,
        # what nobody gave a UUID is told apart by its inode
        uuid=uuid or (f"inode-{seen.st_dev}-{seen.st_ino}" if seen else f"sidecar-{image.stem}"),
        source=ImageFile(image, "qcow2"),
        size_bytes=header.size_bytes if header else (seen.st_size if seen else 0),
        labels=labels,
        tags=tags,
        fault=join(faults, "; ") or None,
        active=seen is not None,
        read_only=seen is not None and not seen.st_mode & 0o222,
        used_share=min(1, seen.st_blocks * 512 / header.size_bytes) if seen and header else None,
        origin=Path(header.backing).stem if header else "",
    )


def _header(image: Path, faults: list[object]) -> Header | None:
    try:
        header = read_header(image)
    except (OSError, ValueError) as error:
        faults.append(Sentence("its image cannot be read: {why}", why=error))
        return None
    if header.corrupt:
        faults.append(Sentence("QEMU marked its image as corrupt"))
    return header if header.size_bytes else None


def _mark_twins(volumes: list[Volume]) -> Iterator[Volume]:
    """Somebody who copies an image and its sidecar makes two of one UUID: neither is trusted."""
    count = Counter(volume.uuid for volume in volumes)
    for volume in volumes:
        twin = count[volume.uuid] > 1
        fault = Sentence("another image has the same UUID")
        yield replace(volume, fault=fault) if twin else volume


def _pool(folder: Path) -> Pool:
    size_bytes, free_bytes = space_of(folder)
    return Pool(
        kind=Kind.QCOW2,
        place=str(folder),
        name=str(folder),
        size_bytes=size_bytes,
        free_bytes=free_bytes,
    )


def space_of(folder: Path) -> tuple[int, int]:
    """Size and free bytes of the file system where the folder is, or will be. Raises OSError."""
    while not folder.exists():
        folder = folder.parent
    seen = os.statvfs(folder)
    return seen.f_blocks * seen.f_frsize, seen.f_bavail * seen.f_frsize


def backing_files(image: Path) -> list[Path]:
    """What an image of ours stands on: golden images in the folder of templates, nearest first.

    A QEMU that its guest has taken over can write another name into an overlay. Raises OSError,
    ValueError, NotOurs.
    """
    templates = image.parent.parent / TEMPLATES
    found = [image]
    while name := read_header(found[-1]).backing:
        path = Path(name)
        if path.parent != templates or path.name in (".", "..") or path.is_symlink():
            raise NotOurs(
                "{path} stands on {name}, which is no template's image.",
                "Reset the seat: pizarra reset CLASSROOM SEAT",
                path=image,
                name=name,
            )
        if path in found:
            raise NotOurs("{path} stands on itself.", path=image)
        found.append(path)
    return found[1:]


def is_open_in_qemu(image: Path) -> bool:
    """Whether a QEMU, or one of its tools, has the image open. Raises OSError."""
    fd = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
    try:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _QEMU_FIRST, _QEMU_COUNT, 0)
        answer = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_OFD_GETLK, asked))
    finally:
        os.close(fd)
    return bool(answer[0] != fcntl.F_UNLCK)
