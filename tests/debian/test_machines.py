"""Machines as people have them: UEFI and a TPM, a real Debian, and one made by virt-install."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.host.install import copy_in, must
from lab.host.machine import RunningHost
from tests.debian.health import problems
from tests.debian.test_verbs import follow, seats

ROOT = Path(__file__).parents[2]
_FIRMWARE = """\
pizarra template import uefi /root/guest.img --firmware uefi --tpm --storage lvm-thin
pizarra classroom create u --template uefi --seats 2 --memory 256M
pizarra start u
pizarra stop u --grace 0
pizarra reset u --off
pizarra verify u
pizarra undo u
pizarra reset u --start
pizarra classroom delete u --yes
pizarra template delete uefi --yes
"""
_ADOPTED = """\
lvcreate -q -y -L 64M -n web vg0
qemu-img convert -n -O raw /root/guest.img /dev/vg0/web
virt-install --connect qemu:///system --name web --memory 64 --vcpus 1 --import --noautoconsole \
--osinfo detect=off,require=off --graphics none --network none --disk /dev/vg0/web,cache=none
virsh -q destroy web
pizarra adopt web --classroom shop --yes
pizarra start shop
pizarra stop shop --grace 0
pizarra reset shop --off
pizarra verify shop
pizarra reset shop --start
pizarra classroom delete shop --yes
virsh -q dominfo web
virsh -q undefine web
lvremove -q -y vg0/web
"""
_IDENTIFIED = """\
pizarra template import debian /root/cloud.qcow2 --storage lvm-thin
pizarra classroom create real --template debian --seats 2 --memory 512M --vcpus 1 --network none
printf 'tiza y pizarra' >/root/secret
pizarra classroom identify real --user student --password-file /root/secret --yes
pizarra inspect real-01 --copy /etc/hostname --copy /etc/machine-id --to /root/one
pizarra inspect real-02 --copy /etc/hostname --copy /etc/machine-id --to /root/two
pizarra reset real --off
pizarra verify real
"""


@pytest.fixture(scope="module")
def cloud_image() -> Path:
    """A Debian with cloud-init."""
    image = ROOT / "build/guests/cloud.qcow2"
    subprocess.run(
        ["env", "DEBIAN_EXTRA=cloud-init,openssh-server", ROOT / "guests/debian/build", image],
        check=True,
    )
    return image


@pytest.fixture(autouse=True)
def healthy(host: RunningHost) -> Iterator[None]:
    """No test leaves a failed unit, a denial or an error."""
    yield
    assert problems(host) == []


def test_machines_when_they_have_uefi_and_a_tpm_then_all_is_put_back(host: RunningHost) -> None:
    follow(host, _FIRMWARE, "")


def test_machine_when_made_by_virt_install_then_adopted_reset_and_let_go(
    host: RunningHost,
) -> None:
    follow(host, _ADOPTED, "")


def test_machines_when_a_real_debian_is_identified_then_each_is_itself(
    host: RunningHost, cloud_image: Path
) -> None:
    copy_in(host, cloud_image, "/root/cloud.qcow2")
    follow(host, _IDENTIFIED, "")
    names = must(host, "find /root/one /root/two -name hostname -exec cat {} +").split()
    assert sorted(names) == ["real-01", "real-02"]
    ids = must(host, "find /root/one /root/two -name machine-id -exec cat {} +").split()
    assert len(set(ids)) == 2
    assert set(seats(host, "pizarra reset real --start").values()) == {"done"}
