"""What we choose stands beside what is there: subnets, MAC addresses, UUIDs."""

from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from lxml import etree

from pizarra.compute.addresses import choose_subnet
from pizarra.compute.memory import MemoryCompute
from pizarra.compute.network_xml import bridge_name, network_name, read_network
from pizarra.engine.host import Host
from pizarra.engine.memory_host import MemoryStorages
from pizarra.errors import BadInput, HostNotFit, SubnetTaken
from pizarra.model.classroom_spec import ClassroomSpec
from pizarra.model.disk_source import BlockDevice
from pizarra.model.facts import Volume
from pizarra.model.labels import FillingLabels, SeatLabels, TemplateLabels
from pizarra.model.names import seat_mac, seat_uuid
from pizarra.model.sizes import MIB
from pizarra.model.taken_subnet import TakenSubnet
from pizarra.planner.provision import choose_uuids, mac_of, network_uuid
from pizarra.service import classrooms
from pizarra.service.context import Context
from pizarra.settings import Settings, read_settings
from pizarra.storage.dm_snapshot.store import DmSnapshotStore
from pizarra.storage.interface import NewVolume
from pizarra.storage.kinds import Kind
from pizarra.storage.memory.store import MemoryStore
from pizarra.system import host_networks, identity
from tests.contract.compute_bench import FOREIGN

HOST, OTHER_HOST = "a5b0c2f0-0000-4000-8000-000000000001", "a5b0c2f0-0000-4000-8000-000000000002"
HOME = choose_subnet("net", 3, ())


class School:
    """A template in memory; ``host`` is the identity of its host."""

    def __init__(self, host: str = HOST, **settings: object) -> None:
        self.storage, self.compute = MemoryStore(), MemoryCompute()
        self._golden()
        self.use(host, **settings)

    def use(self, host: str, **settings: object) -> None:
        made = Settings(at_once=1, **settings)
        storages = MemoryStorages(self.storage)
        self.context = Context(Host(made, self.compute, storages, host))

    def _golden(self) -> None:
        labels = TemplateLabels(template="t", version=1)
        new = NewVolume(labels=FillingLabels(becoming=labels), size_bytes=8 * MIB, name="t.v1.vda")
        self.storage.seal_golden(self.storage.create_golden(new), labels)

    def create(self, name: str = "net", seats: int = 3, network: str = "isolated") -> None:
        spec = ClassroomSpec(
            name=name,
            template="t",
            seats=seats,
            memory_bytes=64 * MIB,
            storage=Kind.MEMORY,
            network=network,
        )
        classrooms.create(self.context, spec)

    def subnet(self, name: str = "net") -> IPv4Network:
        gateway = self.compute.network_gateways()[network_uuid(name)]
        return IPv4Network(gateway, strict=False)

    def uuids(self, name: str = "net") -> dict[int, str]:
        seats = self.context.host.observe().classroom(name).seats
        return {seat.number: seat.domain_uuid for seat in seats}

    def macs(self, name: str = "net") -> dict[int, str]:
        """As the machines are defined."""
        found = {}
        for number, uuid in self.uuids(name).items():
            card = etree.fromstring(self.compute.xml(uuid)).find("devices/interface/mac")
            assert card is not None
            found[number] = str(card.get("address"))
        return found


# ---- subnets


@pytest.mark.parametrize(
    ("taken", "by"),
    [
        (str(HOME), "eth0"),  # the LAN
        (f"{HOME.network_address + 1}/32", "a router"),
        (f"{HOME.network_address + 200}/32", "a DNS server"),
        (str(HOME.supernet(new_prefix=16)), "tun0"),  # a VPN
        (str(HOME), "default"),  # a network of libvirt
    ],
)
def test_subnet_when_somebody_has_a_part_of_it_then_another(taken: str, by: str) -> None:
    school, others = School(), IPv4Network(taken)
    school.compute.take_subnets([TakenSubnet(others, by)])
    school.create()
    assert not school.subnet().overlaps(others)
    assert school.subnet().is_private


def test_subnet_when_the_lan_is_all_of_ten_then_outside_of_it() -> None:
    school, lan = School(), IPv4Network("10.0.0.0/8")
    school.compute.take_subnets([TakenSubnet(lan, "eth0")])
    school.create()
    assert school.subnet().subnet_of(IPv4Network("172.16.0.0/12"))


def test_subnet_when_all_private_ranges_are_taken_then_it_says_what_to_set() -> None:
    school = School()
    private = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
    taken = [TakenSubnet(IPv4Network(one), "eth0") for one in private]
    school.compute.take_subnets(taken)
    with pytest.raises(HostNotFit) as refused:
        school.create()
    assert "subnets = " in refused.value.advice
    assert not school.context.host.observe().classrooms
    school.use(HOST, subnets=["10.77.0.0/16"])  # set aside within the site's own
    school.create()
    assert school.subnet().subnet_of(IPv4Network("10.77.0.0/16"))


def test_subnet_when_libvirt_refuses_it_then_the_next_is_tried() -> None:
    school = School()
    refusal = SubnetTaken("Network is already in use by interface eth0")
    school.compute.fail_at("define_network", None, refusal, times=2)
    school.create()
    assert not school.subnet().overlaps(HOME)


def test_subnet_when_libvirt_refuses_all_then_the_class_is_not_made() -> None:
    school = School()
    refusal = SubnetTaken("Network is already in use by interface eth0")
    school.compute.fail_at("define_network", None, refusal, times=100)
    with pytest.raises(SubnetTaken):
        school.create()
    assert not school.context.host.observe().classrooms


def test_subnet_when_the_network_is_up_then_it_stays_whatever_came(
) -> None:  # fmt: skip
    school = School()
    school.create()
    come = TakenSubnet(HOME, "eth0")
    school.compute.take_subnets([come, TakenSubnet(HOME, bridge_name("net"))])
    classrooms.resize(school.context, "net", seats=4)
    assert school.subnet() == HOME


def test_subnet_when_it_is_down_and_somebody_has_it_now_then_it_moves() -> None:
    school = School()
    school.create()
    school.compute.take_subnets([TakenSubnet(HOME, "eth0")])
    room = school.context.host.observe().classroom("net")
    classrooms.restore_network(school.context, room)
    assert not school.subnet().overlaps(HOME)


def test_subnet_when_it_lies_in_a_wider_network_then_a_class_of_before_keeps_it() -> None:
    school = School()
    school.create()
    school.compute.take_subnets([TakenSubnet(IPv4Network("10.0.0.0/8"), "eth0")])
    classrooms.restore_network(school.context, school.context.host.observe().classroom("net"))
    assert school.subnet() == HOME


def test_network_seen_when_it_has_several_addresses_and_routes_then_all() -> None:
    xml = (
        "<network><name>x</name><ip address='192.168.1.1' netmask='255.255.255.0'/>"
        "<ip address='10.5.0.1' prefix='16'/><ip family='ipv6' address='fd00::1' prefix='64'/>"
        "<route address='172.20.0.0' prefix='16' gateway='192.168.1.2'/></network>"
    )
    seen = {str(one) for one in read_network(xml).subnets}
    assert seen == {"192.168.1.0/24", "10.5.0.0/16", "172.20.0.0/16"}


# ---- the setting


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ('["8.8.8.0/24"]', "private"),
        ('["127.0.0.0/8"]', "private"),
        ('["169.254.0.0/16"]', "private"),
        ('["10.77.0.0/28"]', "too small"),
        ('["10.77.0.1/16"]', "IPv4"),
        ('["ten"]', "IPv4"),
        ("10.77.0.0/16", "list"),
    ],
)
def test_subnets_of_settings_when_they_cannot_be_then_the_setting_is_named(
    said: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIZARRA_SUBNETS", said)
    with pytest.raises(BadInput, match=why) as refused:
        read_settings()
    assert "PIZARRA_SUBNETS" in refused.value.advice


def test_subnets_of_settings_when_set_then_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIZARRA_SUBNETS", '["10.77.0.0/16", "100.64.0.0/10"]')
    assert read_settings().subnets == [IPv4Network("10.77.0.0/16"), IPv4Network("100.64.0.0/10")]


# ---- what the host has


def fake_ip(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, object], None]:
    """An ``ip`` that answers what it was told to, by a word of its command line."""
    tool = folder / "ip"
    tool.write_text(
        f"#!/bin/sh\ncd '{folder}'\n"
        "for word; do [ -e $word.json ] && exec cat $word.json; done; echo '[]'\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(host_networks, "RESOLVERS", (folder / "resolv.conf", folder / "none"))

    def tell(word: str, told: object) -> None:
        (folder / f"{word}.json").write_text(json.dumps(told))

    return tell


def test_host_when_it_is_looked_at_then_addresses_routes_routers_and_dns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = fake_ip(tmp_path, monkeypatch)
    told("address", [{}, {"ifname": "eth0", "addr_info": [
        {"family": "inet", "local": "10.1.2.3", "prefixlen": 16}]}])  # fmt: skip
    told("route", [
        {"dst": "default", "gateway": "10.1.0.1", "dev": "eth0"},
        {"dst": "0.0.0.0/1", "gateway": "10.8.0.1", "dev": "tun0"},
        {"dst": "172.20.0.0/14", "nexthops": [{"gateway": "10.1.0.2", "dev": "eth0"}]},
        {"type": "blackhole", "dst": "10.99.0.0/16"},
        {"dst": "10.50.0.9", "dev": "tun0", "via": {"family": "inet6", "host": "fe80::1"}},
    ])  # fmt: skip
    (tmp_path / "resolv.conf").write_text("search x\nnameserver 10.7.7.7\nnameserver fd00::1\n")
    assert {str(one) for one in host_networks.host_subnets()} == {
        "10.1.0.0/16 (eth0)",
        "10.1.2.3/32 (eth0)",
        "10.1.0.1/32 (a router)",
        "10.8.0.1/32 (a router)",
        "10.1.0.2/32 (a router)",
        "172.20.0.0/14 (eth0)",
        "10.99.0.0/16 (a route)",
        "10.50.0.9/32 (tun0)",
        "10.7.7.7/32 (a DNS server)",
    }


def test_host_when_ip_answers_nonsense_then_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_ip(tmp_path, monkeypatch)("address", {"no": "list"})
    with pytest.raises(HostNotFit, match="ip -j -4 address"):
        host_networks.host_subnets()


def test_host_when_two_have_one_machine_id_then_their_boards_tell_them_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "MACHINE_ID", tmp_path / "machine-id")
    monkeypatch.setattr(identity, "BOARD", tmp_path / "board")
    (tmp_path / "machine-id").write_text("uninitialized\n")
    assert identity.host_identity() == ""
    (tmp_path / "machine-id").write_text("3d1219c7c4c5404aaa1f6d2a48adfda4\n")
    seen = {identity.host_identity()}
    for board in ("4c4c4544-0001", "4c4c4544-0002"):
        (tmp_path / "board").write_text(board)
        seen.add(identity.host_identity())
    assert len(seen) == 3
    assert not any("3d1219c7" in one for one in seen)


# ---- MAC addresses and UUIDs


def test_machines_when_another_host_has_the_same_class_then_all_differ() -> None:
    here, there = School(HOST), School(OTHER_HOST)
    for school in (here, there):
        school.create(seats=20)
    assert not {*here.uuids().values()} & {*there.uuids().values()}
    assert not {*here.macs().values()} & {*there.macs().values()}


def test_machines_when_a_class_is_made_again_then_as_before() -> None:
    school = School()
    school.create()
    before = school.uuids(), school.macs()
    classrooms.delete(school.context, "net")
    school.create()
    assert (school.uuids(), school.macs()) == before


def test_machines_when_the_first_version_made_them_then_they_keep_theirs() -> None:
    school = School(host="")  # the first version knew no identity
    school.create()
    before = school.macs()
    assert before[1] == "52:54:00:44:d3:6e"  # as the first version computed it
    school.use(HOST)
    classrooms.resize(school.context, "net", seats=5)
    now = school.macs()
    assert {number: now[number] for number in before} == before
    assert school.uuids()[1] == seat_uuid("net", 1)
    assert school.uuids()[4] == seat_uuid("net", 4, host=HOST)
    assert len({*now.values()}) == 5


def test_machines_when_somebody_has_a_uuid_or_mac_then_another_is_chosen() -> None:
    school = School()
    second, third = (seat_uuid("net", number, host=HOST) for number in (2, 3))
    school.compute.put(FOREIGN.format(name="theirs", uuid=second))
    card = f"<devices><interface type='user'><mac address='{seat_mac(third, 'net', 3).upper()}'/>"
    school.compute.put(
        f"<domain><name>other</name><uuid>c0ffee00-0000-4000-8000-00000000000a</uuid>{card}"
        "</interface></devices></domain>"
    )
    school.create()
    assert school.uuids()[1] == seat_uuid("net", 1, host=HOST)
    assert school.uuids()[2] == seat_uuid("net", 2, host=HOST, attempt=1)
    assert school.uuids()[3] == seat_uuid("net", 3, host=HOST, attempt=1)
    assert all(len(names) == 1 for names in school.compute.macs().values())


def test_machines_when_the_first_version_gave_two_of_a_class_one_mac_then_they_differ() -> None:
    """Of 24 bits: aula-189-26 and aula-189-39 had the same. Without the host's identity too."""
    room, twins = "aula-189", (26, 39)
    assert len({seat_mac(seat_uuid(room, number), room, number) for number in twins}) == 1
    facts = School(host="").context.host.observe()
    for host in ("", HOST):
        chosen = choose_uuids(facts, room, range(1, 41), host, ())
        assert len({seat_mac(uuid, room, number) for number, uuid in chosen.items()}) == 40


def test_leases_when_made_then_of_the_machines_own_macs() -> None:
    school = School()
    school.create()
    seats = school.context.host.observe().classroom("net").seats
    assert {seat.number: mac_of(seat) for seat in seats} == school.macs()
    assert network_name("net") in {one.by for one in school.compute.taken_subnets()}


@pytest.mark.parametrize(
    ("template", "domain", "is_upgrade"),
    [("t", HOST, True), ("t", "", True), ("", HOST, False)],  # the second as version 1 wrote it
)
def test_upgrade_when_it_was_cut_off_then_told_from_an_adoption_and_the_uuid_is_kept(
    template: str, domain: str, is_upgrade: bool
) -> None:
    seat = SeatLabels(classroom="net", seat=1, template=template, domain=domain)
    volume = Volume(
        kind=Kind.LVM_THICK,
        place="vg",
        name="net-01.vda.next",
        uuid="u",
        source=BlockDevice(Path("/dev/vg/net-01.vda.next")),
        size_bytes=8 * MIB,
        labels=FillingLabels(becoming=seat),
    )
    assert (DmSnapshotStore("vg").unfinished([volume]) == [volume]) is is_upgrade
