"""Machines and networks in memory: the behaviour of the interface without libvirt.

The driver ships in the product, for demonstrations and for tests of the layers above. A test can
tell the driver to fail at a given call.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from lxml import etree

from pizarra.compute.domain_xml import domain_xml
from pizarra.compute.interface import DomainSpec, NetworkSpec
from pizarra.compute.network_xml import names_by_mac, network_name
from pizarra.compute.picture import desktop
from pizarra.compute.seat_metadata import is_ours
from pizarra.errors import ComputeFault, NotFound, NotOurs, PizarraError
from pizarra.model.facts import Domain, Power
from pizarra.model.taken_subnet import TakenSubnet
from pizarra.system.flight import record

_OFF = frozenset({Power.OFF, Power.CRASHED})


@dataclass(slots=True, kw_only=True)
class _Machine:
    name: str
    xml: str
    live_xml: str = ""  # where it is another than ``xml``
    power: Power = Power.OFF
    has_saved_ram: bool = False
    has_snapshots: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Network:
    name: str
    gateway: str


_QUESTIONS = (
    "observe",
    "find",
    "xml",
    "live_xml",
    "network_gateways",
    "agent_answers",
    "taken_subnets",
    "macs",
    "volume_path",
    "networks_without_rules",
)


@dataclass(slots=True, kw_only=True)
class _Fault:
    call: str | None  # None: any
    uuid: str | None  # None: any machine
    error: PizarraError
    after_calls: int = 0
    times: int = 1


class MemoryCompute:
    """The Compute interface over a dictionary."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []  # each call, and its UUID or name
        self.deaf: set[str] = set()  # UUIDs of guests that ignore a request to stop
        self.program: Callable[[str, str], int] = lambda _uuid, _script: (
            0
        )  # exit status of a script in a guest
        self.has_fence = True  # somebody may flush it
        self.bare_networks: set[str] = set()  # somebody took the rules of these away
        self._machines: dict[str, _Machine] = {}
        self._networks: dict[str, _Network] = {}
        self._taken: tuple[TakenSubnet, ...] = ()
        self._pool_volumes: dict[tuple[str, str], Path] = {}
        self._faults: list[_Fault] = []
        self._lock = threading.RLock()

    # ---- what others do

    def fail_at(self, call: str, uuid: str | None, error: PizarraError, *, times: int = 1) -> None:
        """Make the next ``times`` calls of this name fail; ``uuid`` None: of any machine."""
        self._faults.append(_Fault(call=call, uuid=uuid, error=error, times=times))

    def fail_at_step(self, step: int, error: PizarraError) -> None:
        """Make the ``step``-th call from now fail, whatever it is; the next call is step 1."""
        self._faults.append(_Fault(call=None, uuid=None, error=error, after_calls=step - 1))

    def happen(self, uuid: str, power: Power) -> None:
        """Set the power of a machine: its guest shut down or crashed, or somebody used virsh."""
        with self._lock:
            self._machines[uuid].power = power

    def happen_to(self, uuid: str, *, ram: bool = False, snapshot: bool = False) -> None:
        """Somebody saved the RAM of a machine, which is off then; or took a snapshot of it."""
        with self._lock:
            machine = self._machines[uuid]
            machine.has_saved_ram, machine.has_snapshots = ram, snapshot
            if ram:
                machine.power = Power.OFF

    def change(self, uuid: str, change: Callable[[str], str], *, live: bool = False) -> None:
        """Somebody edited the definition of a machine, or (``live``) plugged something into it
        while it runs."""
        with self._lock:
            machine = self._machines[uuid]
            if live:
                machine.live_xml = change(machine.live_xml or machine.xml)
            else:
                machine.xml = change(machine.xml)

    def put(self, xml: str, power: Power = Power.OFF) -> None:
        """Define a machine as somebody else would."""
        domain = etree.fromstring(xml)
        machine = _Machine(name=domain.findtext("name", ""), xml=xml, power=power)
        with self._lock:
            self._machines[domain.findtext("uuid", "")] = machine

    def put_network(self, name: str, uuid: str, gateway: str) -> None:
        """Define a network as somebody else would."""
        with self._lock:
            self._networks[uuid] = _Network(name=name, gateway=gateway)

    def take_subnets(self, taken: Iterable[TakenSubnet]) -> None:
        """Give the host other addresses, routes and name servers than it had."""
        self._taken = tuple(taken)

    def put_pool_volume(self, pool: str, name: str, path: Path) -> None:
        """Make a volume of a storage pool as somebody else would."""
        self._pool_volumes[pool, name] = path

    # ---- the interface

    def observe(self) -> tuple[Domain, ...]:
        """All machines, ours and others."""
        with self._record_call("observe", ""):
            return tuple(_domain(uuid, machine) for uuid, machine in self._machines.items())

    def find(self, name: str) -> Domain | None:
        """The machine of this name, or None."""
        with self._record_call("find", name):
            known = self._machines.items()
            return next((_domain(uuid, found) for uuid, found in known if found.name == name), None)

    def define(self, spec: DomainSpec) -> None:
        """Define or redefine a machine. Raises NotOurs if its name or UUID is taken."""
        with self._record_call("define", spec.uuid):
            for uuid, machine in self._machines.items():
                if machine.name == spec.name and uuid != spec.uuid:
                    raise NotOurs("A domain {name} is there already.", name=spec.name)
            known = self._machines.get(spec.uuid)
            if known is None:
                self._machines[spec.uuid] = _Machine(name=spec.name, xml=self.made_xml(spec))
                return
            _check_ours(known)
            _check_name(known, spec.name)
            known.xml = self.made_xml(spec)

    def made_xml(self, spec: DomainSpec) -> str:
        """As for a host with KVM."""
        return domain_xml(spec, kvm=True)

    def undefine(self, uuid: str) -> None:
        """Remove a machine of ours that is off."""
        with self._record_call("undefine", uuid):
            machine = self._machines.get(uuid)
            if machine is None:
                return
            _check_ours(machine)
            if machine.power not in _OFF:
                raise ComputeFault(
                    "{name} is switched on and cannot be removed.", name=machine.name
                )
            del self._machines[uuid]

    def start(self, uuid: str) -> None:
        """Switch the machine on. Fine if it is on."""
        with self._record_call("start", uuid):
            self._create(uuid)

    def wake(self, uuid: str) -> None:
        """Switch the machine on; its saved RAM is used up. Fine if it is on."""
        with self._record_call("wake", uuid):
            self._create(uuid)

    def _create(self, uuid: str) -> None:
        machine = self._machine(uuid)
        if machine.power in _OFF:
            machine.power, machine.has_saved_ram, machine.live_xml = Power.RUNNING, False, ""

    def keep_saved_ram(self, uuid: str, to: Path) -> None:
        """Write the UUID to the file, if there is RAM."""
        with self._record_call("keep_saved_ram", uuid):
            if self._machine(uuid).has_saved_ram:
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_text(uuid, encoding="utf-8")

    def put_saved_ram(self, uuid: str, path: Path) -> None:
        """The RAM is saved, if the file names this machine."""
        with self._record_call("put_saved_ram", uuid):
            machine = self._machine(uuid)
            if path.read_text(encoding="utf-8") != uuid:
                raise ComputeFault("{path} holds no RAM of {uuid}.", path=path, uuid=uuid)
            machine.has_saved_ram, machine.power = True, Power.OFF

    def drop_saved_ram(self, uuid: str) -> None:
        """Forget it. Fine if there is none."""
        with self._record_call("drop_saved_ram", uuid):
            self._machine(uuid).has_saved_ram = False

    def ask_to_stop(self, uuid: str) -> None:
        """Switch the machine off, unless the guest is deaf or paused."""
        with self._record_call("ask_to_stop", uuid):
            machine = self._machines.get(uuid)
            if machine and machine.power is Power.RUNNING and uuid not in self.deaf:
                machine.power = Power.OFF

    def kill(self, uuid: str) -> None:
        """Switch the machine off."""
        with self._record_call("kill", uuid):
            if machine := self._machines.get(uuid):
                machine.power = Power.OFF

    def pause(self, uuid: str) -> None:
        """Pause a machine that is on."""
        with self._record_call("pause", uuid):
            self._running_machine(uuid).power = Power.PAUSED

    def resume(self, uuid: str) -> None:
        """Let a machine that is on run."""
        with self._record_call("resume", uuid):
            self._running_machine(uuid).power = Power.RUNNING

    def reset_button(self, uuid: str) -> None:
        """Check that the machine is on; nothing else can be seen."""
        with self._record_call("reset_button", uuid):
            self._running_machine(uuid)

    def save_ram(self, uuid: str, path: Path) -> None:
        """Switch the machine off and write its UUID to the file."""
        with self._record_call("save_ram", uuid):
            self._running_machine(uuid).power = Power.OFF
            path.write_text(uuid, encoding="utf-8")

    def restore_ram(self, uuid: str, path: Path) -> None:
        """Let the machine run, if the file names this machine."""
        with self._record_call("restore_ram", uuid):
            machine = self._machine(uuid)
            if not path.is_file() or path.read_text(encoding="utf-8") != uuid:
                raise ComputeFault("{path} holds no RAM of {uuid}.", path=path, uuid=uuid)
            machine.power, machine.live_xml = Power.RUNNING, ""

    def agent_answers(self, uuid: str) -> bool:
        """Whether the machine is on and its guest is not deaf."""
        with self._record_call("agent_answers", uuid):
            return self._machine(uuid).power is Power.RUNNING and uuid not in self.deaf

    def agent(self, uuid: str, command: Mapping[str, Any], timeout_s: float = 5) -> dict[str, Any]:
        """Answer as Debian's agent. Every program ends with the status that ``program`` gives."""
        if not self.agent_answers(uuid):
            raise ComputeFault("no agent answers within {s} s", s=timeout_s)
        arguments = command.get("arguments", {})
        match command["execute"]:
            case "guest-exec":
                script = base64.b64decode(arguments["input-data"]).decode()
                return {"return": {"pid": self.program(uuid, script)}}
            case "guest-exec-status":
                return {"return": {"exited": True, "exitcode": arguments["pid"]}}
            case "guest-get-osinfo":
                return {"return": {"id": "debian"}}
        return {"return": {}}

    def xml(self, uuid: str) -> str:
        """The XML that ``define``, ``redefine`` or ``put`` made."""
        with self._record_call("xml", uuid):
            return self._machine(uuid).xml

    def redefine(self, xml: str) -> None:
        """Replace the XML of a machine; its name stays."""
        domain = etree.fromstring(xml)
        uuid = domain.findtext("uuid", "").strip()
        with self._record_call("redefine", uuid):
            machine = self._machine(uuid)
            _check_name(machine, domain.findtext("name", ""))
            machine.xml = xml

    def live_xml(self, uuid: str) -> str:
        """The same as ``xml``, but for what ``change`` did to the running machine."""
        with self._record_call("live_xml", uuid):
            machine = self._machine(uuid)
            return (machine.live_xml if machine.power not in _OFF else "") or machine.xml

    def volume_path(self, pool: str, name: str) -> Path:
        """The path that ``put_pool_volume`` gave."""
        with self._record_call("volume_path", name):
            if (pool, name) not in self._pool_volumes:
                raise NotFound("There is no volume {name}.", name=name)
            return self._pool_volumes[pool, name]

    def screenshot(self, uuid: str) -> bytes:
        """A desktop with the machine's number."""
        with self._record_call("screenshot", uuid):
            machine = self._machine(uuid)
            if machine.power in _OFF:
                raise ComputeFault("{name} is off.", name=machine.name)
            number = machine.name.rpartition("-")[2]
            return desktop(number, int(number) if number.isdigit() else 0)

    def console(self, uuid: str) -> int:
        """Always raises ComputeFault: there is nothing to see."""
        with self._record_call("console", uuid):
            name = self._machine(uuid).name
        raise ComputeFault("{name} is only remembered and has no console.", name=name)

    def raise_fence(self) -> bool:
        """Whether it stood; it does afterwards."""
        with self._record_call("raise_fence", ""):
            stood, self.has_fence = self.has_fence, True
            return stood

    def networks_without_rules(self) -> tuple[str, ...]:
        """Those that somebody added to ``bare_networks``."""
        with self._record_call("networks_without_rules", ""):
            return tuple(sorted(self.bare_networks))

    def renew_network_rules(self) -> None:
        """None is without rules afterwards."""
        with self._record_call("renew_network_rules", ""):
            self.bare_networks.clear()

    def define_network(self, spec: NetworkSpec) -> None:
        """Define a network. Raises NotOurs if its name is taken."""
        with self._record_call("define_network", spec.uuid):
            self._check_network(spec.classroom, spec.uuid)
            name, gateway = network_name(spec.classroom), f"{spec.gateway}/{spec.prefix}"
            self._networks[spec.uuid] = _Network(name=name, gateway=gateway)

    def remove_network(self, classroom: str, uuid: str) -> None:
        """Remove a network. Fine if there is none."""
        with self._record_call("remove_network", uuid):
            self._check_network(classroom, uuid)
            self._networks.pop(uuid, None)

    def network_gateways(self) -> dict[str, str]:
        """UUID -> gateway of all networks."""
        with self._record_call("network_gateways", ""):
            return {uuid: network.gateway for uuid, network in self._networks.items()}

    def taken_subnets(self) -> tuple[TakenSubnet, ...]:
        """What ``take_subnets`` said, and all networks. No bridge is up."""
        with self._record_call("taken_subnets", ""):
            networks = self._networks.values()
            its = (TakenSubnet(IPv4Interface(one.gateway).network, one.name) for one in networks)
            return (*self._taken, *its)

    def macs(self) -> dict[str, frozenset[str]]:
        """Those of all machines."""
        with self._record_call("macs", ""):
            return names_by_mac((one.name, one.xml) for one in self._machines.values())

    # ---- inside

    @contextmanager
    def _record_call(self, call: str, which: str) -> Iterator[None]:
        if call not in _QUESTIONS:
            record(f"memory {call} {which}")
        with self._lock:
            self.calls.append((call, which))
            self._fail_if_due(call, which)
            yield

    def _fail_if_due(self, call: str, which: str) -> None:
        meant = [f for f in self._faults if f.call in (None, call) and f.uuid in (None, which)]
        due = [fault for fault in meant if fault.after_calls == 0]
        for fault in meant:
            fault.after_calls -= 1 if fault.after_calls else 0
        if not due:
            return
        due[0].times -= 1
        if due[0].times == 0:
            self._faults.remove(due[0])
        raise due[0].error

    def _machine(self, uuid: str) -> _Machine:
        if uuid not in self._machines:
            raise ComputeFault("there is no domain with the UUID {uuid}", uuid=uuid)
        return self._machines[uuid]

    def _running_machine(self, uuid: str) -> _Machine:
        machine = self._machine(uuid)
        if machine.power in _OFF:
            raise ComputeFault("the domain {name} is not running", name=machine.name)
        return machine

    def _check_network(self, classroom: str, uuid: str) -> None:
        name = network_name(classroom)
        if any(found.name == name and key != uuid for key, found in self._networks.items()):
            raise NotOurs("A network {name} is there already.", name=name)


def _domain(uuid: str, machine: _Machine) -> Domain:
    return Domain(
        uuid=uuid,
        name=machine.name,
        power=machine.power,
        has_saved_ram=machine.has_saved_ram,
        has_snapshots=machine.has_snapshots,
    )


def _check_ours(machine: _Machine) -> None:
    if not is_ours(etree.fromstring(machine.xml)):
        raise NotOurs("The domain {name} lacks our metadata.", name=machine.name)


def _check_name(machine: _Machine, name: str) -> None:
    """Raises ComputeFault for another name: in libvirt a UUID keeps its name."""
    if machine.name != name:
        raise ComputeFault("the domain {name} cannot be called {new}", name=machine.name, new=name)
