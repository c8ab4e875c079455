"""Export a template or a checkpoint as files for another host: a qcow2 file for each disk, and a
manifest with their checksums. ``template import`` reads both."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pizarra.compute.domain_edit import StateFiles
from pizarra.engine.events import Advanced, Began
from pizarra.errors import AlreadyExists, BadInput, NotFound, NotOurs, StorageFault
from pizarra.model.facts import StorageKind, Volume
from pizarra.model.hardware import Hardware
from pizarra.model.labels import CheckpointLabels, Firmware, InspectionLabels, TemplateLabels
from pizarra.model.names import check_name
from pizarra.model.sentence import N_
from pizarra.planner.checkpoints import find_checkpoint
from pizarra.planner.domain_import import disk_target
from pizarra.service.claims import claiming_seats
from pizarra.service.context import Context
from pizarra.service.templates import MachineSource, Source
from pizarra.storage.images import export, image_info
from pizarra.storage.interface import NewVolume, Progress
from pizarra.system.checksum import sha256_of
from pizarra.system.file_copies import copy_atomically, sync, write_new
from pizarra.system.own_folder import open_folder_at, opening_folder, path_of

MANIFEST = "manifest.json"
_STATE = "state"
_MANIFEST_BYTES_MAX = 1024 * 1024
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", re.ASCII)


class _Disk(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    disk: str = Field(pattern="^vd[a-z]$")
    file: str = Field(pattern=f"^{_FILE.pattern}$")
    size_bytes: int = Field(gt=0)
    file_bytes: int = Field(gt=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    persistent: bool = False
    hardware: str = ""  # as its label says it; of the first disk, all of the machine's

    @field_validator("hardware")
    @classmethod
    def _check_hardware(cls, text: str) -> str:
        """Raises ValueError."""
        return str(Hardware.parse(text))


class _StateFile(BaseModel):
    """A file of the machine's firmware state, below the folder ``state``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    file: str = Field(pattern=r"^(nvram|tpm(/[A-Za-z0-9][A-Za-z0-9_.-]{0,63}){1,3})$")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """The content of ``manifest.json``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal["pizarra-template-1"] = "pizarra-template-1"
    template: str
    version: int
    firmware: Literal["bios", "uefi"]
    tpm: bool = False
    disks: list[_Disk] = Field(min_length=1, max_length=26)
    state: list[_StateFile] = Field(default_factory=list, max_length=64)


def export_template(
    context: Context,
    name: str,
    to: Path,
    *,
    version: int = 0,
    kind: StorageKind | None = None,
    place: str = "",
) -> Manifest:
    """Write a version into a new folder. The folder appears when it is complete, or not at all."""
    check_name(name, N_("template"))
    with context.claim([], N_("template export"), shared=[f"template:{name}"]):
        template = context.host.observe().template(name, kind, place, version)
        if template.fault:
            raise NotOurs("The template {name} cannot be used: {why}.", name=name,
                          why=template.fault)  # fmt: skip
        return _export(context, name, template.version, template.volumes, to)


def export_checkpoint(
    context: Context, classroom: str, name: str, number: int, to: Path
) -> Manifest:
    """Write the state that was saved of one seat, as a template. RAM and data disks are left
    out."""
    check_name(name, N_("checkpoint"))
    with claiming_seats(context, classroom, [number], N_("checkpoint export")):
        checkpoint = find_checkpoint(context.host.observe().volumes.values(), classroom, name)
        volumes = sorted(checkpoint.volumes.get(number, ()), key=lambda one: one.name)
        if not volumes:
            raise NotFound(
                "There is no checkpoint {name} of seat {number}.",
                "It is of: {those}.",
                name=name,
                number=number,
                those=", ".join(checkpoint.seats),
            )
        if why := next((one.fault for one in volumes if one.fault), None):
            raise NotOurs("The checkpoint {name} cannot be used: {why}.", name=name, why=why)
        return _export(context, f"{classroom}-{name}", 1, volumes, to)


_Exported = Volume[TemplateLabels] | Volume[CheckpointLabels]


def _export(
    context: Context, title: str, version: int, volumes: Sequence[_Exported], to: Path
) -> Manifest:
    to = to.absolute()
    _check_new(to)
    try:
        with opening_folder(to.parent) as parent, _part(parent, to.name) as (name, part):
            manifest = _write(context, title, version, volumes, path_of(part))
            os.rename(name, to.name, src_dir_fd=parent, dst_dir_fd=parent)
    except OSError as error:
        raise StorageFault("Cannot write {path}: {why}.", path=to, why=error.strerror) from None
    return manifest


@contextmanager
def _part(parent: int, name: str) -> Iterator[tuple[str, int]]:
    """A new folder of ours in one that may be another user's, by its name and its descriptor. The
    folder is removed at the end, unless it got another name."""
    name = f".{name}.part{os.getpid()}"
    os.mkdir(name, 0o755, dir_fd=parent)
    fd = open_folder_at(parent, name)
    try:
        yield name, fd
    finally:
        os.close(fd)
        shutil.rmtree(name, ignore_errors=True, dir_fd=parent)


def _check_new(to: Path) -> None:
    """An empty folder is as good as none: a rename takes its place."""
    if not to.parent.is_dir():
        raise BadInput("There is no folder {path}.", "Make it: mkdir -p {path}", path=to.parent)
    if (to.is_dir() and any(to.iterdir())) or (to.exists() and not to.is_dir()):
        raise AlreadyExists("{path} is there already.", "Name a new folder.", path=to)


def _write(
    context: Context,
    title: str,
    version: int,
    volumes: Sequence[_Exported],
    folder: Path,
) -> Manifest:
    labels = volumes[0].labels
    manifest = Manifest(
        template=title,
        version=version,
        firmware=str(labels.firmware),  # type: ignore[arg-type]
        tpm="tpm" in labels.firmware_state,
        disks=[_write_disk(context, one, folder, disk_target(n)) for n, one in enumerate(volumes)],
        state=_write_state(context, volumes[0], folder),
    )
    path = folder / MANIFEST
    write_new(path, json.dumps(_dump(manifest), indent=2) + "\n")
    return manifest


def _dump(manifest: Manifest) -> dict[str, Any]:
    """Without the hardware of a disk that has the usual one: older versions know no such key."""
    document = manifest.model_dump()
    for disk in document["disks"]:
        if not disk["hardware"]:
            del disk["hardware"]
    return document


def _write_disk(context: Context, volume: _Exported, folder: Path, disk: str) -> _Disk:
    """``disk`` is its name in seats: an adopted machine may have called it ``sda``."""
    path = folder / f"{volume.name}.qcow2"
    form = volume.source.format
    with _readable(context, volume) as source:
        export(source, form, path, _tell(context, N_("export"), volume.size_bytes))
    sync(path)
    file_bytes = path.stat().st_size
    return _Disk(
        disk=disk,
        file=path.name,
        size_bytes=volume.size_bytes,
        file_bytes=file_bytes,
        sha256=sha256_of(path, file_bytes),
        persistent=isinstance(volume.labels, TemplateLabels) and volume.labels.persistent,
        hardware=str(volume.labels.hardware),
    )


def _write_state(context: Context, volume: Volume, folder: Path) -> list[_StateFile]:
    for name, path in context.host.states.files(volume).items():
        copy_atomically(path, folder / _STATE / name)
    files = [one for one in sorted((folder / _STATE).rglob("*")) if one.is_file()]
    return [
        _StateFile(
            file=str(one.relative_to(folder / _STATE)), sha256=sha256_of(one, one.stat().st_size)
        )
        for one in files
    ]


def _tell(context: Context, what: str, size_bytes: int) -> Progress:
    context.emit(Began(what=what, total=size_bytes, unit="bytes"))
    return lambda share: context.emit(Advanced(what=what, done=share * size_bytes))


@contextmanager
def _readable(context: Context, volume: _Exported) -> Iterator[Path]:
    """The content of a disk. Where a snapshot is possible, a golden volume is read through one. So
    classes can be reset meanwhile."""
    storage = context.host.storage_of(volume)
    if not storage.capabilities.live_view:
        with storage.opening(volume) as path:
            yield path
        return
    labels = InspectionLabels(disk=volume.labels.disk)
    new = NewVolume(labels=labels, size_bytes=volume.size_bytes, name=f"{volume.name}.export")
    view = storage.create_golden(new, volume)
    try:
        yield view.path
    finally:
        storage.remove([view])


def is_manifest(path: Path) -> bool:
    """Whether an import is from what ``export`` wrote: its folder, or the manifest in it."""
    return path.is_dir() or path.suffix == ".json"


def sources_of_manifest(context: Context, path: Path) -> tuple[list[Source], MachineSource]:
    """The disks that a manifest names, with their formats. Raises BadInput."""
    path = path / MANIFEST if path.is_dir() else path
    manifest = _read_manifest(path)
    if len({one.disk for one in manifest.disks}) != len(manifest.disks):
        raise BadInput("{path} names a disk twice.", path=path)
    disks = sorted(manifest.disks, key=lambda one: one.disk)
    machine = MachineSource(
        firmware=Firmware(manifest.firmware),
        tpm=manifest.tpm,
        files=_state_files(path.parent / _STATE, manifest.state),
    )
    return [_source(context, path.parent, one) for one in disks], machine


def _state_files(folder: Path, told: Sequence[_StateFile]) -> StateFiles:
    for one in told:
        path = folder / one.file
        if not path.is_file() or sha256_of(path, path.stat().st_size) != one.sha256:
            raise BadInput(
                "{path} is not what was exported: its checksum is another.",
                "Copy it again from where it was exported.",
                path=path,
            )
    has_tpm = any(one.file.startswith("tpm/") for one in told)
    has_nvram = any(one.file == "nvram" for one in told)
    return StateFiles(
        nvram=folder / "nvram" if has_nvram else None, tpm=folder / "tpm" if has_tpm else None
    )


def _read_manifest(path: Path) -> Manifest:
    try:
        if path.stat().st_size > _MANIFEST_BYTES_MAX:
            raise BadInput("{path} is too large for a manifest.", path=path)
        return Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "JSON"
            why = first["msg"]
            raise BadInput("{path}: {field}: {why}.", path=path, field=field, why=why) from None
        said = error.strerror if isinstance(error, OSError) else error
        raise BadInput("{path} cannot be read: {why}.",
                       "To import: a disk image, or a folder that template export wrote.",
                       path=path, why=said) from None  # fmt: skip


def _source(context: Context, folder: Path, disk: _Disk) -> Source:
    path = folder / disk.file
    image = image_info(path)
    told = _tell(context, N_("check"), disk.file_bytes)
    is_whole = image.format == "qcow2" and path.stat().st_size == disk.file_bytes
    if not is_whole or sha256_of(path, disk.file_bytes) != disk.sha256:
        raise BadInput(
            "{path} is not what was exported: its checksum is another.",
            "Copy it again from where it was exported.",
            path=path,
        )
    told(1.0)
    if image.virtual_size_bytes != disk.size_bytes:
        raise BadInput("{path} has another size than its manifest says.", path=path)
    hardware = Hardware.parse(disk.hardware)
    return Source(disk=disk.disk, image=image, persistent=disk.persistent, hardware=hardware)
