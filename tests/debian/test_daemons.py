"""libvirt as one daemon for each part (virtqemud, virtnetworkd), in the place of libvirtd.

Debian 12 has no such daemons.
"""

from __future__ import annotations

import pytest

from lab.host.install import must
from lab.host.machine import RunningHost
from lab.host.suite import Suite
from tests.debian.health import mark_journal, problems
from tests.debian.test_verbs import follow, seats

# https://libvirt.org/daemons.html, "Switching to modular daemons"
_SWITCH = """\
systemctl stop libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket
systemctl disable libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket
systemctl mask libvirtd.service libvirtd.socket
for part in qemu network storage secret nodedev nwfilter interface; do \
systemctl enable virt${{part}}d.service virt${{part}}d.socket && \
systemctl start virt${{part}}d{{,-ro,-admin}}.socket || exit; done
systemctl enable --now virtlogd.socket
pizarra host check
"""
_USED = """\
pizarra template import t /root/guest.img --storage lvm-thin --vg vg0
pizarra classroom create net --template t --seats 2 --memory 64M
pizarra start net
pizarra status net
pizarra reset net
pizarra stop net --grace 0
pizarra verify net
"""


@pytest.fixture(scope="module")
def suite() -> Suite:
    return Suite.TRIXIE


def test_host_when_its_daemons_are_modular_then_all_works_and_comes_back(
    host: RunningHost,
) -> None:
    follow(host, _SWITCH, "")
    mark_journal(host)
    follow(host, _USED, "")
    assert "active" in must(host, "systemctl is-active virtqemud.service virtnetworkd.service")
    assert problems(host) == []
    assert host.reboot() == "running"
    mark_journal(host)
    recovered = must(host, "systemctl show -P Result pizarra-recover.service")
    assert recovered.strip() == "success"
    assert set(seats(host, "pizarra reset net --start").values()) == {"done"}
    assert problems(host) == []
