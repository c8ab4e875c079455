"""A libvirt machine as a template: what it needs to boot is in its seats; what changes is told."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from pizarra.cli import words
from pizarra.compute.memory import MemoryCompute
from pizarra.engine.host import Host, RealStorages
from pizarra.errors import BadInput, NotFound, PizarraError, Unsupported
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.facts import Power, Template
from pizarra.model.hardware import Hardware
from pizarra.model.names import seat_uuid
from pizarra.model.sizes import KIB, MIB
from pizarra.planner.domain_import import plan_import
from pizarra.planner.upgrade import check_target
from pizarra.service import classrooms, export, templates
from pizarra.service.context import Context
from pizarra.service.domain_import import sources_of_domain
from pizarra.service.languages import catalogue
from pizarra.service.templates import MachineSource
from pizarra.settings import Settings
from pizarra.storage.kinds import Kind
from tests.contract.storage_qcow2 import create_image
from tests.fixtures.command import pizarra
from tests.fixtures.windows import FEATURES, NIC, OS, UUID, WINDOWS, disk, machine

PATH = "/srv/win.img"


def hardware(xml: str) -> Hardware:
    return plan_import("win", xml).disks[0].hardware


def changes(xml: str) -> str:
    return "\n".join(plan_import("win", xml).changes)


# ---- what is kept


def test_hardware_when_of_windows_then_all_that_it_boots_with() -> None:
    assert hardware(machine(disk(PATH))) == WINDOWS
    assert changes(machine(disk(PATH))) == (
        "memory and processors are the classroom's; it had 4 GiB and 2"
    )


@pytest.mark.parametrize(
    ("bus", "target", "controller", "scsi"),
    [
        ("sata", "sda", "", "virtio-scsi"),
        ("virtio", "vda", "", "virtio-scsi"),
        ("usb", "sda", "", "virtio-scsi"),
        ("scsi", "sda", "<controller type='scsi' model='lsisas1068'/>", "lsisas1068"),
        ("scsi", "sda", "<controller type='scsi' model='vmpvscsi'/>", "vmpvscsi"),
        ("scsi", "sda", "<controller type='scsi'/>", "lsilogic"),
        ("scsi", "sda", "<controller type='scsi' model='virtio-non-transitional'/>", "virtio-scsi"),
    ],
)
def test_hardware_when_disk_is_on_another_bus_then_it_and_its_controller_are_kept(
    bus: str, target: str, controller: str, scsi: str
) -> None:
    kept = hardware(machine(disk(PATH, target, bus), devices=NIC + controller))
    assert (kept.bus, kept.scsi) == (bus, scsi)


@pytest.mark.parametrize(
    ("parts", "kept"),
    [
        ({"os": OS.replace("pc-i440fx-7.2", "pc-q35-7.2")}, {"machine": "q35"}),
        ({"os": OS.replace("pc-i440fx-7.2", "pc")}, {"machine": "i440fx"}),
        ({"cpu": "<cpu mode='host-model'/>"}, {"cpu": "", "sockets": "many"}),
        ({"cpu": "<cpu mode='maximum'><topology sockets='2' cores='1' threads='1'/></cpu>"},
         {"cpu": "", "sockets": "many"}),
        ({"features": "<acpi/><apic/>"}, {"hyperv": "hypervclock"}),
        ({"devices": NIC.replace("e1000", "vmxnet3")}, {"nic": "vmxnet3"}),
        ({"devices": NIC.replace("<model type='e1000'/>", "")}, {"nic": "rtl8139"}),
        ({"devices": ""}, {"nic": "virtio"}),
    ],
)  # fmt: skip
def test_hardware_when_a_part_is_another_then_that_is_kept(
    parts: dict[str, str], kept: dict[str, str]
) -> None:
    assert hardware(machine(disk(PATH), **parts)) == replace(WINDOWS, **kept)


def test_hardware_when_it_boots_securely_then_so_do_its_seats() -> None:
    os = (
        "<type arch='x86_64' machine='pc-q35-7.2'>hvm</type>"
        "<loader readonly='yes' secure='yes' type='pflash'>/usr/share/OVMF/code.fd</loader>"
        "<nvram>/var/lib/libvirt/qemu/nvram/win_VARS.fd</nvram>"
    )
    tpm = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
    plan = plan_import("win", machine(disk(PATH, "sda", "sata"), os=os, devices=NIC + tpm))
    assert (str(plan.firmware), plan.tpm) == ("uefi", True)
    assert plan.disks[0].hardware.secure_boot == "yes"
    assert str(plan.files.nvram) == "/var/lib/libvirt/qemu/nvram/win_VARS.fd"


# ---- what it boots from

TWO = (disk(PATH, more="<boot order='3'/>"), disk("/srv/d.img", "hdb", more="<boot order='2'/>"))


@pytest.mark.parametrize(
    ("disks", "os", "boot", "told"),
    [
        (TWO, OS, "vdb", ""),
        (TWO[:1], OS, "", ""),
        ((disk(PATH), TWO[1]), OS, "vdb", ""),
        ((disk(PATH), disk("/srv/d.img", "hdb")), f"{OS}<boot dev='hd'/>", "", ""),
        ((disk(PATH),), f"{OS}<boot dev='cdrom'/><boot dev='hd'/>", "", "cdrom"),
        ((disk(PATH),), f"{OS}<boot dev='network'/>", "", "network"),
        (
            (disk(PATH).replace("device='disk'", "device='cdrom'").replace("hda", "hdc")
             .replace("/>", "/><boot order='1'/>", 1), *TWO), OS, "vdb", "hdc",
        ),
    ],
)  # fmt: skip
def test_boot_order_when_of_a_machine_then_its_disk_is_kept_and_what_came_before_is_told(
    disks: tuple[str, ...], os: str, boot: str, told: str
) -> None:
    xml = machine(*disks, os=os)
    assert hardware(xml).boot == boot
    assert (f"it boots from {told} first" in changes(xml)) == bool(told)


def test_boot_order_when_the_network_is_before_then_it_is_told() -> None:
    nic = NIC.replace("</interface>", "<boot order='1'/></interface>")
    assert "it boots from network first" in changes(machine(*TWO, devices=nic))


# ---- what changes


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"devices": NIC + NIC.replace(":01", ":02")}, "its 2 network cards become one"),
        ({"devices": NIC.replace("e1000", "i82551")}, "card i82551 becomes virtio"),
        ({"devices": NIC + "<sound model='ich9'/><watchdog model='itco'/>"}, "sound, watchdog"),
        ({"devices": NIC + "<hostdev mode='subsystem' type='usb'/>"}, "left out: hostdev"),
        ({"devices": NIC + "<tpm><backend type='passthrough'/></tpm>"}, "left out: tpm"),
        ({"features": FEATURES + "<kvm><hidden state='on'/></kvm>"}, "left out: kvm"),
        ({"features": "<hyperv><vendor_id state='on' value='x'/></hyperv>"}, "vendor_id"),
        ({"cpu": "<cpu mode='custom'><model>Haswell</model>"
                 "<feature policy='disable' name='rtm'/></cpu>"}, "Haswell are left out: rtm"),
        ({"os": f"{OS}<acpi><table type='slic'>/srv/slic</table></acpi>"}, "acpi table"),
    ],
)  # fmt: skip
def test_changes_when_a_seat_cannot_have_a_part_then_they_name_it(
    parts: dict[str, str], told: str
) -> None:
    assert told in changes(machine(disk(PATH), **parts))


def test_changes_when_drives_numbers_and_screens_go_then_they_name_them() -> None:
    cd = disk("/srv/a.iso", "hdc").replace("device='disk'", "device='cdrom'")
    xml = machine(disk(PATH, more="<serial>WD-42</serial>"), cd).replace(
        "<clock offset='localtime'>", "<clock offset='timezone' timezone='Europe/Madrid'>"
    )
    xml = xml.replace("type='vga'", "type='qxl'").replace(
        "graphics type='vnc'", "graphics type='spice'"
    )
    told = changes(xml)
    for part in ("drive hdc", "number WD-42", "timezone", "qxl becomes vga", "instead of spice"):
        assert part in told
    assert hardware(xml).clock == "localtime"


# ---- what cannot be


@pytest.mark.parametrize(
    ("xml", "why"),
    [
        (machine(disk(PATH), os=OS.replace("pc-i440fx-7.2", "microvm")), "microvm"),
        (machine(disk(PATH), os=OS.replace("x86_64", "aarch64")), "aarch64"),
        (machine(disk(PATH), os=f"{OS}<kernel>/srv/vmlinuz</kernel>"), "/srv/vmlinuz"),
        (machine(disk(PATH), os=f"{OS}<loader type='rom'>/srv/OVMF.fd</loader>"), "/srv/OVMF.fd"),
        (machine(disk(PATH, "fda", "fdc")), "bus fdc"),
        (machine(disk(PATH).replace("device='disk'", "device='lun'")), "kind lun"),
        (machine(disk(PATH, more="<blockio logical_block_size='4096'/>")), "4096"),
        (machine(disk(PATH, more="<encryption format='luks'/>")), "encrypted"),
        (machine("<disk type='network' device='disk'><source protocol='rbd' name='p/i'/>"
                 "<target dev='vda' bus='virtio'/></disk>"), "type network"),
        (machine(disk(PATH), disk("", "hdb")), "hdb"),
        (machine(disk(PATH, "sda", "scsi"), devices="<controller type='scsi' model='buslogic'/>"),
         "buslogic"),
        (machine(disk(PATH), devices="<tpm><backend type='emulator' version='1.2'/></tpm>"), "1.2"),
    ],
)  # fmt: skip
def test_import_when_seats_would_not_boot_then_it_is_refused_with_the_cause(
    xml: str, why: str
) -> None:
    with pytest.raises(Unsupported, match=why) as refusal:
        plan_import("win", xml)
    assert "virsh edit win" in refusal.value.advice


def test_import_when_its_uefi_variables_are_of_the_old_size_then_it_is_refused(
    site: Site, tmp_path: Path
) -> None:
    nvram = tmp_path / "win_VARS.fd"
    os = (
        "<type arch='x86_64' machine='pc-q35-5.2'>hvm</type>"
        "<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>"
        f"<nvram>{nvram}</nvram>"
    )
    site.compute.put(machine(disk(tmp_path / "a.qcow2", "sda", "sata", "qcow2"), os=os))
    nvram.write_bytes(bytes(128 * KIB))
    with pytest.raises(Unsupported, match="of 2 MB") as refusal:
        site.imported()
    assert "virsh start win --reset-nvram" in refusal.value.advice
    nvram.write_bytes(bytes(528 * KIB))
    assert site.imported()[0].labels.firmware == "uefi"


def test_import_when_there_is_no_disk_then_it_is_refused() -> None:
    with pytest.raises(BadInput, match="no disk"):
        plan_import("win", machine())


# ---- the whole way


class Site:
    """A host with files for disks, and machines in memory."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(folder=folder)
        self.compute = MemoryCompute()
        self.context = Context(Host(settings, self.compute, RealStorages(settings)))

    def imported(self, **how: Any) -> tuple[Template, MachineSource]:
        sources, found = sources_of_domain(self.context, "win")
        template = templates.import_template(
            self.context, "t", sources, machine=found, kind=Kind.QCOW2, **how
        )
        return template, found

    def seat_xml(self) -> etree._Element:
        spec = ClassroomSpec(name="net", template="t", seats=1, network="none")
        assert classrooms.create(self.context, spec).exit_status == 0
        return etree.fromstring(self.compute.xml(seat_uuid("net", 1)))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    for name in ("a.qcow2", "b.qcow2"):
        create_image(tmp_path / name, 4 * MIB)
    return Site(tmp_path / "disks")


def test_seat_when_made_of_an_imported_machine_then_its_xml_has_the_hardware(
    site: Site, tmp_path: Path
) -> None:
    second = disk(tmp_path / "b.qcow2", "sda", "sata", "qcow2", "<boot order='1'/>")
    site.compute.put(machine(disk(tmp_path / "a.qcow2", form="qcow2"), second))
    template, found = site.imported()
    assert [one.labels.hardware.bus for one in template.volumes] == ["ide", "sata"]
    assert found.changes
    xml = site.seat_xml()
    targets = [(one.get("dev"), one.get("bus")) for one in xml.iterfind("devices/disk/target")]
    assert targets == [("vda", "ide"), ("vdb", "sata")]
    assert [one.findtext("../../x", one.get("order")) for one in xml.iter("boot")] == ["1"]
    assert xml.xpath("string(devices/disk[boot]/target/@dev)") == "vdb"
    assert xml.xpath("string(os/type/@machine)") == "pc"
    assert xml.xpath("string(clock/@offset)") == "localtime"
    assert xml.xpath("string(cpu/model)") == "Skylake-Client"
    assert xml.xpath("string(cpu/topology/@sockets)") == "1"
    assert [one.tag for one in xml.iterfind("features/hyperv/*")] == [
        "relaxed",
        "vapic",
        "spinlocks",
    ]
    assert xml.xpath("string(clock/timer[@name='hypervclock']/@present)") == "yes"


def test_import_when_a_disk_is_in_a_storage_pool_then_its_path_is_found(
    site: Site, tmp_path: Path
) -> None:
    volume = disk("x", form="qcow2").replace("type='file' device", "type='volume' device")
    site.compute.put(machine(volume.replace("file='x'", "pool='default' volume='a.qcow2'")))
    with pytest.raises(NotFound):
        site.imported()
    site.compute.put_pool_volume("default", "a.qcow2", tmp_path / "a.qcow2")
    template, _ = site.imported()
    assert [one.size_bytes for one in template.volumes] == [4 * MIB]


def test_import_when_ram_is_saved_then_it_is_refused_with_the_command(
    site: Site, tmp_path: Path
) -> None:
    site.compute.put(machine(disk(tmp_path / "a.qcow2", form="qcow2")))
    site.compute.happen_to(UUID, ram=True)
    with pytest.raises(BadInput, match="RAM") as refusal:
        site.imported()
    assert "virsh managedsave-remove win" in refusal.value.advice
    assert site.context.host.observe().templates == ()


def test_import_when_it_runs_then_it_is_refused(site: Site, tmp_path: Path) -> None:
    site.compute.put(machine(disk(tmp_path / "a.qcow2", form="qcow2")), Power.RUNNING)
    with pytest.raises(BadInput, match="is running"):
        site.imported()


def test_import_when_a_raw_disk_holds_a_header_then_it_is_read_as_the_machine_does(
    site: Site, tmp_path: Path
) -> None:
    whole = (tmp_path / "a.qcow2").stat().st_size // 512 * 512
    subprocess.run(["truncate", "-s", str(whole), tmp_path / "a.qcow2"], check=True)
    site.compute.put(machine(disk(tmp_path / "a.qcow2")))
    template, _ = site.imported()
    assert template.volumes[0].size_bytes == whole


def test_import_when_the_file_is_not_what_its_machine_reads_then_it_is_refused(
    site: Site, tmp_path: Path
) -> None:
    (tmp_path / "raw").write_bytes(bytes(MIB))
    site.compute.put(machine(disk(tmp_path / "raw", form="qcow2")))
    with pytest.raises(BadInput, match="is qcow2 for its machine"):
        site.imported()


def test_import_when_snapshots_are_inside_then_they_are_named(site: Site, tmp_path: Path) -> None:
    subprocess.run(["qemu-img", "snapshot", "-c", "s", tmp_path / "a.qcow2"], check=True)
    site.compute.put(machine(disk(tmp_path / "a.qcow2", form="qcow2")))
    _, found = site.imported()
    assert "the 1 snapshots inside its disk hda are left out" in found.changes


def test_import_when_the_reader_is_spanish_then_the_changes_are_told_so(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "spoken", catalogue("es"))
    host = site.context.host
    monkeypatch.setattr(
        "pizarra.service.context.context_here", lambda emit, wait_s: Context(host, emit, wait_s)
    )
    two = NIC + NIC.replace(":01", ":02")
    site.compute.put(machine(disk(tmp_path / "a.qcow2", form="qcow2"), devices=two))
    command = ("template", "import", "t", "--from-domain", "win", "--storage", "qcow2")
    said = pizarra(*command)
    assert "sus 2 tarjetas de red pasan a ser una" in said.out
    told = pizarra(*command, "--new-version", "--json").document
    assert "its 2 network cards become one" in told["changes"]
    assert told["hardware"] == WINDOWS.to_dict()
    assert "Su hardware: bus ide" in pizarra("template", "show", "t").out


def test_export_when_of_a_machine_then_its_hardware_goes_with_it(
    site: Site, tmp_path: Path
) -> None:
    site.compute.put(machine(disk(tmp_path / "a.qcow2", form="qcow2")))
    site.imported()
    export.export_template(site.context, "t", tmp_path / "usb")
    sources, _ = export.sources_of_manifest(site.context, tmp_path / "usb")
    assert sources[0].hardware == WINDOWS
    path = tmp_path / "usb" / "manifest.json"
    document = json.loads(path.read_text())
    assert document["disks"][0]["hardware"] == str(WINDOWS)
    for text in ("bus=floppy", "bus", "nic=e1000:nic=virtio", "cpu=a b"):
        document["disks"][0]["hardware"] = text
        path.write_text(json.dumps(document))
        with pytest.raises(BadInput, match="hardware"):
            export.sources_of_manifest(site.context, tmp_path / "usb")
    del document["disks"][0]["hardware"]  # as older versions wrote it
    path.write_text(json.dumps(document))
    assert export.sources_of_manifest(site.context, tmp_path / "usb")[0][0].hardware == Hardware()


def test_upgrade_when_the_next_version_has_other_hardware_then_it_is_refused(
    site: Site, tmp_path: Path
) -> None:
    site.compute.put(machine(disk(tmp_path / "a.qcow2", form="qcow2")))
    first, _ = site.imported()
    site.compute.put(machine(disk(tmp_path / "a.qcow2", "vda", "virtio", "qcow2")))
    second, _ = site.imported(new_version=True)
    with pytest.raises(PizarraError, match="other hardware"):
        check_target(second, first)


def test_version_when_its_image_is_a_file_then_it_has_the_hardware_of_the_one_before(
    site: Site, tmp_path: Path
) -> None:
    site.compute.put(machine(disk(tmp_path / "a.qcow2", form="qcow2")))
    site.imported()
    sources = templates.source_of_file(tmp_path / "b.qcow2")
    second = templates.import_template(
        site.context, "t", sources, kind=Kind.QCOW2, new_version=True
    )
    assert second.labels.hardware == WINDOWS


@pytest.mark.parametrize(
    "text", ["bus=floppy", "bus", "bus=ide:bus=ide", "x=y", "bus=ide,nic=e1000"]
)
def test_hardware_when_told_and_no_seat_can_have_it_then_it_is_refused(
    text: str, tmp_path: Path
) -> None:
    sources = templates.source_of_file(create_image(tmp_path / "disk", MIB))
    with pytest.raises(BadInput, match="No seat") as refusal:
        templates.with_hardware(sources, text)
    assert "bus=sata" in refusal.value.advice


def test_seat_when_the_hardware_of_a_file_was_told_then_it_has_it(
    site: Site, tmp_path: Path
) -> None:
    sources = templates.source_of_file(tmp_path / "a.qcow2")
    told = templates.with_hardware(sources, "bus=sata:machine=i440fx:nic=e1000")
    templates.import_template(site.context, "t", told, kind=Kind.QCOW2)
    xml = site.seat_xml()
    assert xml.xpath("string(devices/disk/target/@bus)") == "sata"
    assert xml.xpath("string(os/type/@machine)") == "pc"


def test_data_disk_when_added_to_a_machine_then_its_system_has_a_driver_for_the_bus(
    site: Site, tmp_path: Path
) -> None:
    site.compute.put(machine(disk(tmp_path / "a.qcow2", form="qcow2")))
    sources, _ = sources_of_domain(site.context, "win")
    assert templates.with_data(sources, "1M", tmp_path)[1].hardware == Hardware(bus="ide")


def test_data_disk_when_it_is_what_the_machine_boots_from_then_it_is_refused(
    site: Site, tmp_path: Path
) -> None:
    second = disk(tmp_path / "b.qcow2", "hdb", form="qcow2", more="<boot order='1'/>")
    site.compute.put(machine(disk(tmp_path / "a.qcow2", form="qcow2"), second))
    sources, found = sources_of_domain(site.context, "win")
    data = templates.with_data(sources, "vdb", tmp_path)
    with pytest.raises(BadInput, match="its system's"):
        templates.import_template(site.context, "t", data, machine=found, kind=Kind.QCOW2)


@pytest.mark.parametrize("text", ["", str(WINDOWS), "bus=scsi", "boot=vdb"])
def test_hardware_when_written_then_it_is_read_the_same(text: str) -> None:
    assert str(Hardware.parse(text)) == text
