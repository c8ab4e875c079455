"""A template as files: there and back; what is not whole is neither written nor read."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pizarra.compute.domain_edit import StateFiles
from pizarra.compute.memory import MemoryCompute
from pizarra.engine.events import Advanced, Event
from pizarra.engine.host import Host, RealStorages
from pizarra.errors import AlreadyExists, BadInput, NotFound, PizarraError
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.labels import Firmware
from pizarra.model.sizes import MIB
from pizarra.service import checkpoints, classrooms, export, templates
from pizarra.service.context import Context
from pizarra.service.templates import MachineSource
from pizarra.settings import Settings
from pizarra.storage.kinds import Kind
from tests.contract.storage_qcow2 import image_read, write_image
from tests.fixtures.host_state import host_state

WORD = b"teacher!" * 512
BOOT_ENTRIES, SECRETS = b"Boot0001" * 64, b"sealed" * 64


class Site:
    """A host with files for disks."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(folder=folder)
        self.told: list[Event] = []
        host = Host(settings, MemoryCompute(), RealStorages(settings))
        self.context = Context(host, self.told.append)
        self.folder = folder

    def imported(self, source: Path, **how: Any) -> None:
        sources, machine = export.sources_of_manifest(self.context, source)
        templates.import_template(
            self.context, "t", sources, machine=machine, kind=Kind.QCOW2, **how
        )


@pytest.fixture
def here(tmp_path: Path) -> Site:
    image = tmp_path / "image.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "64M"], check=True)
    write_image(image, 4 * MIB, WORD)
    site = Site(tmp_path / "here")
    sources = templates.source_of_file(image)
    (tmp_path / "vars.fd").write_bytes(BOOT_ENTRIES)
    (tmp_path / "swtpm/tpm2").mkdir(parents=True)
    (tmp_path / "swtpm/tpm2/tpm2-00.permall").write_bytes(SECRETS)
    machine = MachineSource(
        firmware=Firmware.UEFI,
        tpm=True,
        files=StateFiles(nvram=tmp_path / "vars.fd", tpm=tmp_path / "swtpm"),
    )
    templates.import_template(site.context, "t", sources, machine=machine, kind=Kind.QCOW2)
    return site


@pytest.fixture
def there(tmp_path: Path) -> Site:
    return Site(tmp_path / "there")


@pytest.fixture
def files(here: Site, tmp_path: Path) -> Path:
    export.export_template(here.context, "t", tmp_path / "usb")
    return tmp_path / "usb"


def test_export_when_imported_on_another_host_then_is_the_same(files: Path, there: Site) -> None:
    there.imported(files)
    template = there.context.host.observe().template("t")
    labels = template.volumes[0].labels
    assert (labels.firmware, labels.version, template.fault) == (Firmware.UEFI, 1, None)
    assert labels.firmware_state == "nvram+tpm"
    kept = there.context.host.states.files(template.volumes[0])
    assert kept["nvram"].read_bytes() == BOOT_ENTRIES
    assert (kept["tpm"] / "tpm2/tpm2-00.permall").read_bytes() == SECRETS
    assert template.volumes[0].size_bytes == 64 * MIB
    assert image_read(template.volumes[0].path, 4 * MIB, len(WORD)) == WORD
    there.imported(files / "manifest.json", new_version=True)
    assert [one.version for one in there.context.host.observe().versions("t")] == [1, 2]


def test_export_when_the_disk_is_mostly_empty_then_so_are_the_files(
    files: Path, here: Site
) -> None:
    names = [path.name for path in files.iterdir()]
    assert sorted(names) == ["manifest.json", "state", "t.v1.vda.qcow2"]
    assert sum(path.stat().st_size for path in files.iterdir()) < MIB
    assert [event.done for event in here.told if isinstance(event, Advanced)][-1] == 64 * MIB


def test_export_when_it_cannot_be_then_nothing_is_written(here: Site, tmp_path: Path) -> None:
    full, file = tmp_path / "full", tmp_path / "a-file"
    full.mkdir()
    (full / "mine").touch()
    file.write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    for to, error in ((full, AlreadyExists), (file, AlreadyExists), (full / "x" / "y", BadInput)):
        with pytest.raises(error):
            export.export_template(here.context, "t", to)
    for name, version in (("none", 0), ("t", 9)):
        with pytest.raises(NotFound):
            export.export_template(here.context, name, tmp_path / "new", version=version)
    assert sorted(tmp_path.rglob("*")) == before


def test_export_when_it_is_interrupted_then_nothing_is_left(here: Site, tmp_path: Path) -> None:
    def interrupted(event: Event) -> None:
        if isinstance(event, Advanced):
            raise KeyboardInterrupt

    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(KeyboardInterrupt):
        export.export_template(Context(here.context.host, interrupted), "t", tmp_path / "usb")
    assert sorted(tmp_path.rglob("*")) == before


def _flipped(files: Path) -> None:
    path = files / "t.v1.vda.qcow2"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _told_otherwise(**change: object) -> Callable[[Path], None]:
    def told(files: Path) -> None:
        manifest = json.loads((files / "manifest.json").read_text())
        disk = manifest["disks"][0]
        for key, value in change.items():
            (disk if key in disk else manifest)[key] = value
        (files / "manifest.json").write_text(json.dumps(manifest))

    return told


@pytest.mark.parametrize(
    ("harm", "word"),
    [
        (_flipped, "checksum"),
        (lambda files: (files / "t.v1.vda.qcow2").unlink(), "t.v1.vda.qcow2"),
        (lambda files: (files / "manifest.json").write_text("{"), "JSON"),
        (lambda files: (files / "manifest.json").write_bytes(b"\xff\xfe"), "manifest.json"),
        (lambda files: (files / "manifest.json").unlink(), "manifest.json"),
        (_told_otherwise(file="../../etc/passwd"), "disks.0.file"),
        (_told_otherwise(file="/etc/passwd"), "disks.0.file"),
        (_told_otherwise(sha256="0" * 64), "checksum"),
        (_told_otherwise(disk="sda"), "disks.0.disk"),
        (_told_otherwise(size_bytes=1), "size"),
        (_told_otherwise(firmware="coreboot"), "firmware"),
        (_told_otherwise(format="other"), "format"),
        (_told_otherwise(disks=[]), "disks"),
        (_told_otherwise(more=1), "more"),
    ],
)
def test_import_when_the_files_are_not_whole_then_is_refused_and_nothing_is_made(
    files: Path, there: Site, harm: Callable[[Path], object], word: str
) -> None:
    before = host_state(there.context.host)
    harm(files)
    with pytest.raises(PizarraError, match=word) as refusal:
        there.imported(files)
    assert isinstance(refusal.value, BadInput)
    assert host_state(there.context.host) == before


def test_export_when_it_is_a_checkpoint_then_a_template_is_made_of_it(
    tmp_path: Path, there: Site
) -> None:
    here, image = Site(tmp_path / "school"), tmp_path / "plain.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "64M"], check=True)
    templates.import_template(here.context, "t", templates.source_of_file(image), kind=Kind.QCOW2)
    classrooms.create(here.context, ClassroomSpec(name="net", template="t", seats=2))
    seat = here.context.host.observe().classroom("net").seats[0]
    write_image(seat.volumes[0].path, 4 * MIB, WORD)
    checkpoints.save(here.context, "net", "lesson-3", [1])
    manifest = export.export_checkpoint(here.context, "net", "lesson-3", 1, tmp_path / "usb")
    assert (manifest.template, manifest.version, manifest.firmware) == ("net-lesson-3", 1, "bios")
    there.imported(tmp_path / "usb")
    template = there.context.host.observe().template("t")
    assert image_read(template.volumes[0].path, 4 * MIB, len(WORD)) == WORD
    for name, number in (("lesson-3", 2), ("none", 1), ("lesson-3", 9)):
        with pytest.raises(NotFound):
            export.export_checkpoint(here.context, "net", name, number, tmp_path / "new")
    assert not (tmp_path / "new").exists()
