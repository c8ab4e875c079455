"""What is said of the addresses of a host, taken and colliding ones, and of its firewall."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network

from pizarra.engine.fitness.facts import AddressesSeen, Trouble
from pizarra.engine.fitness.findings import Finding, Level
from pizarra.engine.fitness.judge import judge_host
from pizarra.model.taken_subnet import TakenSubnet
from tests.unit.test_fitness import HEALTHY


def addresses(*taken: tuple[str, str], **seen: object) -> dict[str, Finding]:
    subnets = tuple(TakenSubnet(IPv4Network(subnet), by) for subnet, by in taken)
    host = replace(HEALTHY, addresses=replace(AddressesSeen(taken=subnets), **seen))  # type: ignore[arg-type]
    return {one.check: one for one in judge_host(host)}


def test_addresses_when_some_are_taken_then_they_are_told() -> None:
    found = addresses(("192.168.1.0/24", "eth0"), ("192.168.1.7/32", "eth0"),
                      ("192.168.1.1/32", "a router"), ("127.0.0.0/8", "lo"))  # fmt: skip
    assert found["subnets"].level is Level.GOOD
    assert found["subnets"].says.endswith("192.168.1.0/24 (eth0), 192.168.1.1/32 (a router).")


def test_addresses_when_all_are_taken_then_unfit_and_the_setting_to_make() -> None:
    ranges = [(one, "eth0") for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
    found = addresses(*ranges)["subnets"]
    assert found.level is Level.UNFIT
    assert "/etc/pizarra/pizarra.toml" in found.mend


def test_addresses_when_a_class_hides_the_lan_then_a_warning_and_what_mends_it() -> None:
    ours = {"pizarra-net": IPv4Network("10.200.3.0/24")}
    own = (("10.200.3.0/24", "pizarra-net"), ("10.200.3.1/32", "pz-net"))
    assert "subnet pizarra-net" not in addresses(*own, ours=ours)
    found = addresses(*own, ("10.200.3.254/32", "a router"), ours=ours)["subnet pizarra-net"]
    assert found.level is Level.WARNING
    assert "10.200.3.254/32 (a router)" in found.says
    assert found.mend == "virsh net-destroy pizarra-net && pizarra recover"


def test_addresses_when_two_machines_have_one_or_the_host_has_no_identity_then_warnings() -> None:
    found = addresses(twice=(frozenset({"net-01", "net-77"}),), identity=False)
    assert "net-01, net-77" in found["mac-addresses"].says
    assert found["mac-addresses"].mend == "virsh edit net-77"
    assert found["identity"].mend == "systemd-machine-id-setup"


def test_addresses_when_they_cannot_be_seen_then_a_warning_says_why() -> None:
    host = replace(HEALTHY, addresses=Trouble(text="libvirt is silent"))
    found = {one.check: one for one in judge_host(host)}
    assert found["subnets"].says == "libvirt is silent"


def test_firewall_when_somebody_flushed_it_then_what_is_gone_and_what_mends_it() -> None:
    network = replace(HEALTHY.network, is_fenced=False, bare=("default", "pizarra-net"))
    found = {one.check: one for one in judge_host(replace(HEALTHY, network=network))}
    assert (found["fence"].level, found["fence"].mend) == (Level.WARNING, "pizarra guard")
    assert found["fence"].safe_to_fix
    assert found["rules"].level is Level.UNFIT
    assert "default, pizarra-net" in found["rules"].says
    assert found["rules"].mend == "systemctl restart libvirtd"
