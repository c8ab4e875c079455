"""Tests the promises of compute/interface.py with every Compute driver.

PIZARRA_TEST_LIBVIRT_URI names the libvirt to use; without it a private one runs.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pizarra.compute.domain_edit import add_seat_metadata
from pizarra.compute.network_xml import network_name
from pizarra.compute.seat_metadata import SeatMetadata
from pizarra.errors import ComputeFault, NotOurs
from pizarra.model.facts import Power
from pizarra.model.labels import Firmware
from pizarra.model.sizes import MIB
from tests.contract.compute_bench import (
    FOREIGN,
    Classroom,
    ComputeBench,
    LibvirtComputeBench,
    MemoryComputeBench,
    power_of,
)


@pytest.fixture
def classroom(tmp_path: Path) -> Classroom:
    """A classroom with blank disks."""
    return Classroom(folder=tmp_path)


@pytest.fixture(params=["memory", "libvirt"])
def bench(
    request: pytest.FixtureRequest, tmp_path: Path, classroom: Classroom
) -> Iterator[ComputeBench]:
    """The bench of each driver in turn."""
    made: ComputeBench = MemoryComputeBench()
    if request.param == "libvirt":
        made = LibvirtComputeBench(request.getfixturevalue("libvirt_host"), tmp_path)
    yield made
    made.clean(classroom)


def foreign(bench: ComputeBench, name: str, its_uuid: str | None = None) -> str:
    """Define a domain that is not ours; returns its UUID."""
    its_uuid = its_uuid or str(uuid.uuid4())
    bench.put(FOREIGN.format(name=name, uuid=its_uuid))
    return its_uuid


# ---- definition


def test_define_when_new_then_seen_and_off(bench: ComputeBench, classroom: Classroom) -> None:
    seat = classroom.seat()
    bench.compute.define(seat)
    found = bench.compute.find(seat.name)
    assert found is not None
    assert (found.uuid, found.name, found.power) == (seat.uuid, seat.name, Power.OFF)
    assert found in bench.compute.observe()


def test_define_when_repeated_then_brought_up_to_date(
    bench: ComputeBench, classroom: Classroom
) -> None:
    bench.compute.define(classroom.seat())
    bench.compute.define(classroom.seat(memory_bytes=96 * MIB))
    assert ">98304<" in bench.compute.xml(classroom.seat().uuid)


def test_define_when_running_then_goes_on_running(
    bench: ComputeBench, classroom: Classroom
) -> None:
    seat = classroom.seat()
    bench.compute.define(seat)
    bench.compute.start(seat.uuid)
    bench.compute.define(classroom.seat(vcpus=2))
    assert power_of(bench.compute, seat.uuid) == Power.RUNNING


def test_define_when_name_is_anothers_then_not_ours(
    bench: ComputeBench, classroom: Classroom
) -> None:
    theirs = foreign(bench, classroom.seat().name)
    with pytest.raises(NotOurs):
        bench.compute.define(classroom.seat())
    assert "nobody of ours" in bench.compute.xml(theirs)


def test_define_when_uuid_lacks_our_metadata_then_not_ours(
    bench: ComputeBench, classroom: Classroom
) -> None:
    seat = classroom.seat()
    foreign(bench, seat.name, seat.uuid)
    with pytest.raises(NotOurs):
        bench.compute.define(seat)
    assert "nobody of ours" in bench.compute.xml(seat.uuid)


def test_find_when_absent_then_none(bench: ComputeBench, classroom: Classroom) -> None:
    assert bench.compute.find(classroom.seat().name) is None


def test_undefine_when_off_then_gone_and_repeatable(
    bench: ComputeBench, classroom: Classroom
) -> None:
    seat = classroom.seat()
    bench.compute.define(seat)
    bench.compute.undefine(seat.uuid)
    bench.compute.undefine(seat.uuid)
    assert power_of(bench.compute, seat.uuid) == Power.ABSENT


def test_undefine_when_uefi_was_started_then_gone(
    bench: ComputeBench, classroom: Classroom
) -> None:
    seat = classroom.seat(firmware=Firmware.UEFI)
    bench.compute.define(seat)
    bench.compute.start(seat.uuid)
    bench.compute.kill(seat.uuid)
    bench.compute.undefine(seat.uuid)
    assert power_of(bench.compute, seat.uuid) == Power.ABSENT


def test_undefine_when_running_then_refused_and_runs_on(
    bench: ComputeBench, classroom: Classroom
) -> None:
    seat = classroom.seat()
    bench.compute.define(seat)
    bench.compute.start(seat.uuid)
    with pytest.raises(ComputeFault):
        bench.compute.undefine(seat.uuid)
    assert power_of(bench.compute, seat.uuid) == Power.RUNNING


def test_undefine_when_without_our_metadata_then_not_ours(
    bench: ComputeBench, classroom: Classroom
) -> None:
    theirs = foreign(bench, f"{classroom.name}-old")
    with pytest.raises(NotOurs):
        bench.compute.undefine(theirs)
    assert power_of(bench.compute, theirs) == Power.OFF


def test_redefine_when_adopted_then_ours_and_the_rest_kept(
    bench: ComputeBench, classroom: Classroom
) -> None:
    theirs = foreign(bench, f"{classroom.name}-old")
    told = SeatMetadata(classroom=classroom.name, number=4, template="old", version=1)
    bench.compute.redefine(add_seat_metadata(bench.compute.xml(theirs), told))
    assert "nobody of ours" in bench.compute.xml(theirs)
    bench.compute.undefine(theirs)
    assert power_of(bench.compute, theirs) == Power.ABSENT


def test_redefine_when_absent_then_fault(bench: ComputeBench, classroom: Classroom) -> None:
    xml = FOREIGN.format(name=f"{classroom.name}-old", uuid=uuid.uuid4())
    with pytest.raises(ComputeFault):
        bench.compute.redefine(xml)
    assert bench.compute.find(f"{classroom.name}-old") is None


# ---- power


def test_power_when_used_in_turn_then_each_state_is_seen(
    bench: ComputeBench, classroom: Classroom
) -> None:
    compute, seat = bench.compute, classroom.seat()
    compute.define(seat)
    seen = []
    for act in (compute.start, compute.pause, compute.reset_button, compute.resume, compute.kill):
        act(seat.uuid)
        seen.append(power_of(compute, seat.uuid))
    assert seen == ["running", "paused", "paused", "running", "off"]


@pytest.mark.parametrize(
    ("before", "call", "after"),
    [
        ((), "kill", "off"),
        ((), "ask_to_stop", "off"),
        (("start",), "start", "running"),
        (("start",), "resume", "running"),
        (("start", "pause"), "pause", "paused"),
        (("start", "pause"), "start", "paused"),
        (("start", "pause"), "kill", "off"),
    ],
)
def test_power_when_it_is_so_already_then_fine(
    bench: ComputeBench, classroom: Classroom, before: tuple[str, ...], call: str, after: str
) -> None:
    seat = classroom.seat()
    bench.compute.define(seat)
    for earlier in before:
        getattr(bench.compute, earlier)(seat.uuid)
    getattr(bench.compute, call)(seat.uuid)
    assert power_of(bench.compute, seat.uuid) == after


def test_start_when_off_then_running_whatever_its_firmware(
    bench: ComputeBench, classroom: Classroom
) -> None:
    seats = (classroom.seat(1), classroom.seat(2, firmware=Firmware.UEFI))
    for seat in seats:
        bench.compute.define(seat)
        bench.compute.start(seat.uuid)
    assert [power_of(bench.compute, seat.uuid) for seat in seats] == ["running", "running"]


@pytest.mark.parametrize("call", ["pause", "resume", "reset_button"])
def test_power_when_off_then_what_needs_a_guest_is_a_fault(
    bench: ComputeBench, classroom: Classroom, call: str
) -> None:
    seat = classroom.seat()
    bench.compute.define(seat)
    with pytest.raises(ComputeFault):
        getattr(bench.compute, call)(seat.uuid)
    assert power_of(bench.compute, seat.uuid) == Power.OFF


@pytest.mark.parametrize("call", ["start", "pause", "resume", "reset_button", "xml"])
def test_absent_when_acted_on_then_fault_names_it(
    bench: ComputeBench, classroom: Classroom, call: str
) -> None:
    with pytest.raises(ComputeFault, match=r".") as told:
        getattr(bench.compute, call)(classroom.seat().uuid)
    assert classroom.seat().uuid in str(told.value)


@pytest.mark.parametrize("call", ["kill", "ask_to_stop", "undefine"])
def test_absent_when_to_be_off_then_fine(
    bench: ComputeBench, classroom: Classroom, call: str
) -> None:
    getattr(bench.compute, call)(classroom.seat().uuid)


def test_power_when_from_many_threads_then_every_machine_gets_there(
    bench: ComputeBench, classroom: Classroom
) -> None:
    seats = [classroom.seat(number) for number in range(1, 5)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(bench.compute.define, seats))
        for power in (bench.compute.start, bench.compute.pause):
            list(threads.map(power, [seat.uuid for seat in seats]))
        assert {power_of(bench.compute, seat.uuid) for seat in seats} == {"paused"}
        list(threads.map(bench.compute.kill, [seat.uuid for seat in seats]))
    assert {power_of(bench.compute, seat.uuid) for seat in seats} == {"off"}


# ---- networks


def test_network_define_when_new_then_its_gateway_is_seen(
    bench: ComputeBench, classroom: Classroom
) -> None:
    network = classroom.network()
    bench.compute.define_network(network)
    assert bench.compute.network_gateways()[network.uuid] == "10.77.66.1/24"


def test_network_define_when_seats_are_added_then_fine(
    bench: ComputeBench, classroom: Classroom
) -> None:
    bench.compute.define_network(classroom.network(seats=2))
    bench.compute.define_network(classroom.network(seats=4))
    bench.compute.define_network(classroom.network(seats=1))
    assert classroom.network().uuid in bench.compute.network_gateways()


def test_network_remove_when_repeated_then_gone(bench: ComputeBench, classroom: Classroom) -> None:
    network = classroom.network()
    bench.compute.define_network(network)
    bench.compute.remove_network(classroom.name, network.uuid)
    bench.compute.remove_network(classroom.name, network.uuid)
    assert network.uuid not in bench.compute.network_gateways()


def test_network_when_name_is_anothers_then_not_ours_and_left_alone(
    bench: ComputeBench, classroom: Classroom
) -> None:
    theirs = str(uuid.uuid4())
    bench.put_network(network_name(classroom.name), theirs)
    network = classroom.network()
    with pytest.raises(NotOurs):
        bench.compute.define_network(network)
    with pytest.raises(NotOurs):
        bench.compute.remove_network(classroom.name, network.uuid)
    assert bench.compute.network_gateways()[theirs] == "10.9.8.1/24"
