"""Which ports of machines the firewall holds to their addresses; the rules are in tests/attack."""

from __future__ import annotations

from pathlib import Path

import pytest

from pizarra.compute.controllers import weight_controllers
from pizarra.compute.fence import Port, read_ports

MAC = "52:54:00:0a:0b:0c"
LEASES = {MAC: "10.77.66.11"}
CARD = """
<domain><devices><interface>
<mac address="{mac}"/><source {source}/>{target}
</interface></devices></domain>
"""


def ports(source: str, port: str = "pzs5254000a0b0c", mac: str = MAC) -> list[Port]:
    target = f'<target dev="{port}"/>' if port else ""
    return [*read_ports(CARD.format(mac=mac, source=source, target=target), LEASES)]


def test_port_when_on_a_network_of_ours_then_has_the_address_that_we_gave() -> None:
    expected = Port(name="pzs5254000a0b0c", mac=MAC, is_known=True, address="10.77.66.11")
    assert ports('network="pizarra-net"') == [expected]
    assert ports('network="pizarra-net"', mac=MAC.upper()) == [expected]


def test_port_when_on_a_bridge_then_only_its_mac_is_known() -> None:
    (port,) = ports('bridge="br0"')
    assert (port.is_known, port.address) == (False, "")


def test_port_when_an_older_version_made_the_machine_then_known_by_libvirts_name() -> None:
    (port,) = ports('network="pizarra-net"', "vnet7")
    assert port.name == "vnet7"
    assert ports('network="pizarra-net"', "") == [], "it is off"


@pytest.mark.parametrize(
    "source", ['bridge="br0"', 'network="default"', 'network="my-pizarra-net"']
)
def test_port_when_of_somebody_elses_machine_then_left_alone(source: str) -> None:
    assert ports(source, "vnet3") == []


@pytest.mark.parametrize(
    "port", ["pzs;drop", "pzs}}", "pzs1234567890123", "pzs x", "pzs&quot;, &quot;eth0"]
)
def test_port_when_its_name_is_none_of_a_device_then_no_rule_has_it(port: str) -> None:
    assert ports('network="pizarra-net"', port) == []


def test_weights_when_the_kernel_divides_only_processors_then_only_these(tmp_path: Path) -> None:
    assert weight_controllers(tmp_path) == frozenset()
    (tmp_path / "machine.slice").mkdir()
    (tmp_path / "machine.slice" / "cpu.weight").touch()
    assert weight_controllers(tmp_path) == {"cpu"}
    (tmp_path / "machine.slice" / "io.bfq.weight").touch()
    assert weight_controllers(tmp_path) == {"cpu", "io"}
