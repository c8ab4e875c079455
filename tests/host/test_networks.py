"""A classroom's own network as students see it, with a real bridge, dnsmasq and firewall.

The tests run where libvirtd runs: in its private network namespace, or on the lab's host. A student
is a network namespace on a port of the bridge, isolated as a seat's port is.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from pizarra.compute.libvirt_driver import LibvirtCompute
from pizarra.compute.network_xml import bridge_name, network_name
from pizarra.errors import ComputeFault, SubnetTaken
from tests.contract.compute_bench import Classroom, LibvirtComputeBench
from tests.fixtures.libvirt import Libvirt

GATEWAY, PORT = "10.77.66.1", "8099"
ASK, GET = ("busybox", "nc", "-w", "2", GATEWAY, PORT), "GET / HTTP/1.0\r\n\r\n"
LIMIT_S = 60.0  # patience for a loaded machine, never a measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """Somebody with root on a machine at the bridge."""

    host: Libvirt
    name: str  # of the namespace
    card: str

    def run(self, *argv: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command that may fail."""
        command = [*self.host.prefix, "ip", "netns", "exec", self.name, *argv]
        return subprocess.run(command, check=False, capture_output=True, text=True, input=typed)

    def lease(self) -> str:
        """The output of a DHCP client; it contains "no lease" when nobody offers one."""
        client = ("busybox", "udhcpc", "-f", "-n", "-q", "-t", "4", "-T", "1", "-s", "/bin/true")
        done = self.run(*client, "-i", self.card)
        return done.stdout + done.stderr

    def can_reach(self, address: str) -> bool:
        return self.run("busybox", "ping", "-c", "1", "-W", "2", address).returncode == 0

    def set_address(self, address: str) -> None:
        self.host.inside(*self._ip, "addr", "add", f"{address}/24", "dev", self.card)

    def route_by_host(self, address: str) -> None:
        self.host.inside(*self._ip, "route", "add", f"{address}/32", "via", GATEWAY)

    @property
    def _ip(self) -> tuple[str, ...]:
        return ("ip", "-n", self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class School:
    """A classroom and its libvirt, to which students can be plugged in."""

    host: Libvirt
    classroom: Classroom
    compute: LibvirtCompute
    plugged: list[str]

    @property
    def bridge(self) -> str:
        return bridge_name(self.classroom.name)

    def plug_in(self, mac: str) -> Student:
        """Plug in a student whose card has this MAC address."""
        name = f"p{uuid4().hex[:8]}"
        student = Student(host=self.host, name=name, card=f"{name}e")
        self.plugged.append(name)
        ip = self.host.inside
        ip("ip", "netns", "add", name)
        ip("ip", "link", "add", name, "type", "veth", "peer", "name", student.card)
        ip("ip", "link", "set", name, "master", self.bridge, "up")
        ip("bridge", "link", "set", "dev", name, "isolated", "on")
        ip("ip", "link", "set", student.card, "address", mac, "netns", name)
        ip("ip", "-n", name, "link", "set", student.card, "up")
        return student

    def student(self, number: int) -> Student:
        """Plug in a student with the card of a seat."""
        return self.plug_in(self.classroom.mac(number))


@pytest.fixture
def school(libvirt_host: Libvirt, tmp_path: Path) -> Iterator[School]:
    """A classroom without its network yet. The host forwards packets, as for nat networks."""
    classroom = Classroom(folder=tmp_path)
    bench = LibvirtComputeBench(libvirt_host, tmp_path)
    libvirt_host.inside("sysctl", "-qw", "net.ipv4.ip_forward=1")
    made = School(host=libvirt_host, classroom=classroom, compute=bench.driver, plugged=[])
    yield made
    bench.clean(classroom)
    for name in made.plugged:
        libvirt_host.inside("ip", "link", "del", name, check=False)
        libvirt_host.inside("ip", "netns", "del", name, check=False)


def eventually(what: str, true: Callable[[], object]) -> None:
    """Wait until ``true`` returns something true."""
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.05)


@pytest.mark.parametrize("mode", ["isolated", "nat"])
def test_dhcp_when_a_seat_asks_then_it_gets_its_known_address(school: School, mode: str) -> None:
    school.compute.define_network(school.classroom.network(mode))
    assert "10.77.66.12" in school.student(2).lease()


def test_dhcp_when_a_stranger_asks_then_no_lease(school: School) -> None:
    school.compute.define_network(school.classroom.network())
    assert "no lease" in school.plug_in("52:54:00:aa:bb:cc").lease()


def test_dhcp_when_a_seat_is_added_to_a_live_network_then_it_gets_its_address(
    school: School,
) -> None:
    school.compute.define_network(school.classroom.network(seats=1))
    first = school.student(1)
    school.compute.define_network(school.classroom.network(seats=3))
    assert "10.77.66.13" in school.student(3).lease()
    assert "10.77.66.11" in first.lease()


def test_port_when_a_seat_runs_then_isolated(school: School) -> None:
    school.compute.define_network(school.classroom.network())
    seat = school.classroom.seat(network="isolated")
    school.compute.define(seat)
    school.compute.start(seat.uuid)
    ports = school.host.inside("bridge", "-d", "link", "show").split("\n\t")
    text = " ".join(ports)
    assert f"master {school.bridge}" in text
    own = text.partition(f"master {school.bridge}")[2]
    assert "isolated on" in own


def two_students(school: School, mode: str) -> tuple[Student, Student]:
    school.compute.define_network(school.classroom.network(mode))
    first, second = school.student(1), school.student(2)
    first.set_address("10.77.66.11")
    second.set_address("10.77.66.12")
    return first, second


@pytest.mark.parametrize("mode", ["isolated", "nat"])
def test_seat_when_it_looks_for_another_then_reaches_only_the_gateway(
    school: School, mode: str
) -> None:
    first, _ = two_students(school, mode)
    assert first.can_reach(GATEWAY)
    assert not first.can_reach("10.77.66.12")


@pytest.mark.parametrize("mode", ["isolated", "nat"])
def test_seat_when_it_goes_by_way_of_the_host_then_still_reaches_no_other(
    school: School, mode: str
) -> None:
    first, second = two_students(school, mode)
    first.route_by_host("10.77.66.12")
    second.route_by_host("10.77.66.11")
    assert not first.can_reach("10.77.66.12")


def test_seat_when_it_tries_a_service_of_the_host_then_not_reached(
    school: School, tmp_path: Path
) -> None:
    first, _ = two_students(school, "isolated")
    server = ("busybox", "httpd", "-f", "-p", PORT, "-h", str(tmp_path))
    with subprocess.Popen([*school.host.prefix, *server]) as http:
        try:
            eventually("served", lambda: "HTTP" in school.host.inside(*ASK, check=False, typed=GET))
            assert "HTTP" not in first.run(*ASK, typed=GET).stdout
        finally:
            school.host.inside("pkill", "-f", str(tmp_path))
            http.wait()


def test_network_when_removed_then_nothing_of_it_is_left(school: School) -> None:
    network = school.classroom.network("nat")
    school.compute.define_network(network)
    assert school.bridge in school.host.inside("ip", "link")
    school.compute.remove_network(school.classroom.name, network.uuid)
    name = network_name(school.classroom.name)
    traces = (
        school.host.inside("ip", "link"),
        school.host.inside("iptables-save"),
        school.host.inside("pgrep", "-af", "dnsmasq", check=False),
        school.host.inside("ls", "-R", "/var/lib/libvirt/dnsmasq", "/etc/libvirt/qemu/networks"),
    )
    assert [trace for trace in traces if school.bridge in trace or name in trace] == []


def test_network_when_defined_then_libvirtd_starts_it_by_itself(school: School) -> None:
    school.compute.define_network(school.classroom.network())
    links = school.host.inside("ls", "/etc/libvirt/qemu/networks/autostart")
    assert network_name(school.classroom.name) in links


def test_network_when_it_moves_then_only_without_machines_on_it(school: School) -> None:
    school.compute.define_network(school.classroom.network())
    seat = school.classroom.seat(network="isolated")
    school.compute.define(seat)
    school.compute.start(seat.uuid)
    moved = school.classroom.network(gateway="10.77.67.1", leases=())
    with pytest.raises(ComputeFault, match="while 1 machine runs"):
        school.compute.define_network(moved)
    school.compute.kill(seat.uuid)
    school.compute.define_network(moved)
    assert "10.77.67.1/24" in school.host.inside("ip", "addr", "show", school.bridge)


def test_network_when_a_route_of_the_host_has_its_subnet_then_taken_and_another_works(
    school: School,
) -> None:
    ip, lan = school.host.inside, f"lan{uuid4().hex[:6]}"
    ip("ip", "link", "add", lan, "type", "bridge")
    try:
        ip("ip", "address", "add", "10.77.66.2/24", "dev", lan)
        ip("ip", "link", "set", lan, "up")
        with pytest.raises(SubnetTaken, match=lan):
            school.compute.define_network(school.classroom.network())
        school.compute.define_network(school.classroom.network(gateway="10.77.67.1", leases=()))
    finally:
        ip("ip", "link", "del", lan)
