"""udev and the two table swaps of a rewind: see packaging/udev."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pizarra.system import devmapper
from tests.contract.storage_lvm import VG, lvm
from tests.lab.conftest import command

NAME = "udev-test"


@pytest.fixture
def device() -> Iterator[devmapper.Device]:
    """A volume of 4 MiB, as LVM has just activated it."""
    lvm("lvcreate", "-y", "-Wn", "-Zn", "-l", "1", "-n", NAME, VG)
    found = devmapper.device(devmapper.dm_name(VG, NAME))
    assert found is not None
    yield found
    lvm("lvremove", "-y", f"{VG}/{NAME}")


def swap_twice(device: devmapper.Device) -> None:
    """What a rewind does to the device, and then what udev makes of both events."""
    devmapper.swap(device, devmapper.error_target(device.targets[0].length))
    devmapper.swap(device, device.targets[0])
    command("udevadm", "settle", "--timeout=60")


def udev_properties(device: devmapper.Device) -> dict[str, str]:
    """The properties that udev remembers of the device."""
    lines = Path(f"/run/udev/data/b{device.number}").read_text(encoding="utf-8").splitlines()
    return dict(line[2:].split("=", 1) for line in lines if line.startswith("E:"))


def has_links(device: devmapper.Device, name: str = NAME) -> bool:
    links = (Path("/dev", VG, name), Path("/dev/mapper", devmapper.dm_name(VG, name)))
    return all(link.resolve() == device.node for link in links)


def test_udev_when_tables_were_swapped_then_it_knows_the_device_and_started_nothing(
    device: devmapper.Device,
) -> None:
    command("udevadm", "settle", "--timeout=60")
    before = udev_properties(device)
    swap_twice(device)
    after = udev_properties(device)
    kept = ("DM_NAME", "DM_UUID", "DM_VG_NAME", "DM_LV_NAME", "DM_SUSPENDED", "DM_UDEV_RULES",
            "DM_UDEV_RULES_VSN", "DM_UDEV_PRIMARY_SOURCE_FLAG", "SYSTEMD_READY")  # fmt: skip
    assert {key: after.get(key) for key in kept} == {key: before[key] for key in kept}
    assert after["DM_UDEV_DISABLE_DISK_RULES_FLAG"] == "1"
    # dmsetup would have decoded the cookie into this flag
    assert not {"DM_SUBSYSTEM_UDEV_FLAG7", "DM_COOKIE", "DISK_RO"} & after.keys()
    assert has_links(device)


def test_links_when_udev_looks_again_after_a_swap_then_all_are_there(
    device: devmapper.Device,
) -> None:
    swap_twice(device)
    command("udevadm", "trigger", "--settle", "--action=change", f"/sys/block/{device.node.name}")
    assert has_links(device)
    assert "DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG" not in udev_properties(device)


def test_links_when_lvm_renames_a_volume_after_a_swap_then_they_have_its_new_name(
    device: devmapper.Device,
) -> None:
    swap_twice(device)
    lvm("lvrename", VG, NAME, "udev-other")
    command("udevadm", "settle", "--timeout=60")
    try:
        assert has_links(device, "udev-other")
        assert not Path("/dev", VG, NAME).exists()
        renamed = devmapper.device(devmapper.dm_name(VG, "udev-other"))
        assert renamed is not None
        swap_twice(renamed)
        assert has_links(renamed, "udev-other")
    finally:
        lvm("lvrename", VG, "udev-other", NAME)


def test_links_when_lvm_activates_a_volume_anew_after_a_swap_then_udev_probes_it_again(
    device: devmapper.Device,
) -> None:
    swap_twice(device)
    lvm("lvchange", "-an", f"{VG}/{NAME}")
    lvm("lvchange", "-ay", f"{VG}/{NAME}")
    command("udevadm", "settle", "--timeout=60")
    again = devmapper.device(devmapper.dm_name(VG, NAME))
    assert again is not None
    assert has_links(again)
    by_id = Path("/dev/disk/by-id", "dm-name-" + devmapper.dm_name(VG, NAME))
    assert by_id.resolve() == again.node
