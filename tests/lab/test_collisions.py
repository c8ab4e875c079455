"""Networks of classes on a host that has the same addresses itself, or gets them later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Network

import pytest

from pizarra.compute.addresses import choose_subnet
from pizarra.storage.kinds import Kind
from tests.fixtures.command import pizarra
from tests.lab.conftest import command
from tests.lab.school import School

on_thin = pytest.mark.parametrize("kind", [Kind.LVM_THIN], indirect=True, scope="session")


@pytest.fixture
def lan() -> Iterator[Callable[[IPv4Network], None]]:
    """A LAN of this host; its router has the first address, and the host the second."""

    def join(subnet: IPv4Network) -> None:
        own = f"{subnet.network_address + 2}/{subnet.prefixlen}"
        command("ip", "address", "add", own, "dev", "lan0")

    command("ip", "link", "add", "lan0", "type", "bridge")
    command("ip", "link", "set", "lan0", "up")
    yield join
    command("ip", "link", "del", "lan0")


def subnet_of(classroom: str) -> IPv4Network:
    shown = pizarra("classroom", "show", classroom, "--json").document["addresses"]
    return IPv4Network(f"{next(iter(shown.values()))}/24", strict=False)


def is_reached_by_lan(subnet: IPv4Network) -> bool:
    return "dev lan0" in command("ip", "route", "get", str(subnet.network_address + 1))


def findings() -> dict[str, dict[str, str]]:
    said = pizarra("host", "check", "--json").document["findings"]
    return {one["check"]: one for one in said}


@on_thin
def test_network_when_the_lan_has_its_addresses_then_others_and_the_router_is_reached(
    unharmed: School, lan: Callable[[IPv4Network], None]
) -> None:
    home = choose_subnet("new", 2, ())
    lan(home)
    wish = ("--template", "boot", "--seats", "2", "--memory", "16M", "--network", "nat")
    said = pizarra("classroom", "create", "new", *wish, "--storage", unharmed.kind)
    assert said.status == 0, said.err
    assert is_reached_by_lan(home)
    assert not subnet_of("new").overlaps(home)
    assert f"{home} (lan0)" in findings()["subnets"]["says"]
    assert pizarra("classroom", "delete", "new", "--yes").status == 0


@on_thin
def test_network_when_the_lan_gets_its_addresses_later_then_what_check_says_mends_it(
    original: School, lan: Callable[[IPv4Network], None]
) -> None:
    home = subnet_of(original.name)
    lan(home)
    found = findings()[f"subnet pizarra-{original.name}"]
    assert found["level"] == "warning"
    assert "lan0" in found["says"]
    first, _, then = found["mend"].partition(" && ")
    command(*first.split())
    assert then == "pizarra recover"
    assert pizarra(*then.split()[1:]).status == 0
    assert is_reached_by_lan(home)
    assert not subnet_of(original.name).overlaps(home)
    assert f"subnet pizarra-{original.name}" not in findings()
    said = pizarra("start", original.name, "1", "--json")
    assert set(said.seats.values()) == {"done"}
