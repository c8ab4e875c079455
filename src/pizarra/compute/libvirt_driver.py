"""Machines and networks through libvirt. Only ``compute/libvirt_*.py`` import libvirt.

Each call looks its machine up by UUID, acts, and returns plain values; nothing else is kept but
idle connections. Every call can be repeated, so a call whose connection broke (libvirtd was
restarted) is made once more on a new connection.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import libvirt
import libvirt_qemu
from lxml import etree

from pizarra.compute import libvirt_ram
from pizarra.compute.controllers import weight_controllers
from pizarra.compute.direct_io import buffered_targets
from pizarra.compute.domain_edit import agent_listens
from pizarra.compute.domain_xml import domain_xml
from pizarra.compute.fence import FENCE, Fence
from pizarra.compute.guest_words import parse_answer
from pizarra.compute.interface import DomainSpec, NetworkSpec
from pizarra.compute.kvm_choice import is_kvm_usable
from pizarra.compute.libvirt_connection import (
    QUICK_S,
    SLOW_S,
    Connection,
    LibvirtConnections,
    VirDomain,
)
from pizarra.compute.libvirt_domains import (
    all_domains,
    by_name,
    by_uuid,
    check_name_free,
    check_ours,
    find_domain,
    read_domain,
)
from pizarra.compute.libvirt_networks import (
    admit,
    bridges_with_rules,
    define_network,
    gateways,
    is_fenced,
    machine_macs,
    network_subnets,
    rebuild_fence,
    remove_network,
)
from pizarra.compute.libvirt_rules import LibvirtRules
from pizarra.compute.libvirt_storage import volume_path
from pizarra.compute.small_picture import make_small, receive_picture
from pizarra.errors import ComputeFault, RulesGone
from pizarra.model.facts import Domain
from pizarra.model.sentence import N_, Sentence
from pizarra.model.taken_subnet import TakenSubnet
from pizarra.system.file_copies import sync
from pizarra.system.host_networks import host_subnets, macs_in_sight

_DEFINITIONS = Path("/etc/libvirt/qemu")
_AGENT_MARGIN_S = 10.0
_RAM_S = 900.0  # for the RAM of a large machine, on a slow disk
_AGENT_NOTE = "user.pizarra.agent"  # extended attribute of a file of RAM

_OFF = frozenset({libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_CRASHED})
_GOING_OFF = _OFF | {libvirt.VIR_DOMAIN_SHUTDOWN}  # libvirt refuses to ask it a second time
_FORGET = (
    libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    | libvirt.VIR_DOMAIN_UNDEFINE_TPM
    | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
)


class LibvirtCompute:
    """The Compute interface at one libvirt URI."""

    def __init__(
        self,
        uri: str = "qemu:///system",
        *,
        kvm: bool | None = None,
        quick_s: float = QUICK_S,
        fence: Fence = FENCE,
        rules: LibvirtRules | None = None,
    ) -> None:
        """Make the driver; it connects at its first call.

        ``kvm`` None means: probe when the first machine is defined. ``quick_s`` is the limit of a
        call that waits for no guest. ``fence`` is the firewall where libvirt runs; ``rules`` are
        those that libvirt makes there.
        """
        self._kvm = kvm
        self._kvm_lock = threading.Lock()  # one probe, however many threads define machines
        self._fence, self._rules = fence, rules or LibvirtRules()
        self._connections = LibvirtConnections(uri, quick_s)

    def close(self) -> None:
        """Close the idle connections."""
        self._connections.close()

    # ---- all machines

    def observe(self) -> tuple[Domain, ...]:
        """All domains, ours and others. One call, whatever their number; it waits for no guest."""
        return self._connections.do(N_("list"), Sentence("all domains"), all_domains)

    def find(self, name: str) -> Domain | None:
        """The domain of this name, or None."""
        return self._connections.do(N_("find"), name, lambda conn: read_domain(by_name(conn, name)))

    # ---- one machine's definition

    def define(self, spec: DomainSpec) -> None:
        """Define or redefine the machine. Raises NotOurs if its name or UUID is taken."""
        xml = self.made_xml(spec)

        def work(conn: Connection) -> None:
            check_name_free(conn, spec)
            conn.defineXML(xml)

        self._connections.do(N_("define"), spec.name, work)

    def made_xml(self, spec: DomainSpec) -> str:
        """For the KVM and the file systems of this host."""
        with self._kvm_lock:
            if self._kvm is None:
                self._kvm = is_kvm_usable()
        buffered, controllers = buffered_targets(spec.disks), weight_controllers()
        return domain_xml(spec, kvm=self._kvm, buffered=buffered, controllers=controllers)

    def undefine(self, uuid: str) -> None:
        """Remove the definition, NVRAM, TPM and saved state.

        Raises NotOurs without our metadata.
        """

        def work(conn: Connection) -> None:
            domain = by_uuid(conn, uuid)
            if domain is None:
                return
            check_ours(domain)
            if domain.isActive():
                raise ComputeFault(
                    "{name} is switched on and cannot be removed.",
                    "Stop it first: virsh destroy {name}",
                    name=domain.name(),
                    uuid=uuid,
                )
            domain.undefineFlags(_FORGET)
            if _DEFINITIONS.is_dir():  # or a loss of power brings back a machine without disks
                sync(_DEFINITIONS)

        self._connections.do(N_("undefine"), uuid, work)

    def xml(self, uuid: str) -> str:
        """The persistent XML with its passwords, which a redefinition would lose otherwise."""
        flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
        return self._connections.do(
            N_("read"), uuid, lambda conn: str(find_domain(conn, uuid).XMLDesc(flags))
        )

    def live_xml(self, uuid: str) -> str:
        """What QEMU has open now, which differs from the definition after a snapshot."""
        return self._connections.do(
            N_("read"), uuid, lambda conn: str(find_domain(conn, uuid).XMLDesc())
        )

    def redefine(self, xml: str) -> None:
        """Replace the persistent definition of a domain that is there."""
        uuid = etree.fromstring(xml).findtext("uuid", "").strip()

        def work(conn: Connection) -> None:
            find_domain(conn, uuid)
            conn.defineXML(xml)

        self._connections.do(N_("redefine"), uuid, work)

    def volume_path(self, pool: str, name: str) -> Path:
        """The file or device of a volume of a storage pool."""
        what, which = N_("look for"), f"{pool}/{name}"
        return self._connections.do(what, which, lambda conn: volume_path(conn, pool, name))

    # ---- one machine's power

    def start(self, uuid: str) -> None:
        """Switch on with clean RAM. Fine if the machine is on.

        RAM that ``virsh managedsave`` or libvirt-guests saved is dropped. Restored over a disk that
        was rewound meanwhile, that RAM would destroy the file systems.
        """
        self._create(uuid, libvirt.VIR_DOMAIN_START_FORCE_BOOT)

    def wake(self, uuid: str) -> None:
        """libvirt removes the file of the RAM when the machine runs."""
        self._create(uuid, 0)

    def _create(self, uuid: str, flags: int) -> None:
        def work(conn: Connection) -> None:
            domain = find_domain(conn, uuid)
            admit(self._fence, self._rules, conn, domain)
            try:
                domain.createWithFlags(flags)
            except libvirt.libvirtError:
                if not domain.isActive():
                    raise

        self._connections.do(N_("start"), uuid, work, SLOW_S)

    def keep_saved_ram(self, uuid: str, to: Path) -> None:
        """A second name of libvirt's file, which costs nothing; a copy on another file system."""
        keep = partial(libvirt_ram.keep, to=to)
        self._connections.do(N_("read"), uuid, lambda conn: keep(find_domain(conn, uuid)), _RAM_S)

    def put_saved_ram(self, uuid: str, path: Path) -> None:
        """A start goes on with it."""

        def work(conn: Connection) -> None:
            libvirt_ram.put(conn, find_domain(conn, uuid), path)

        self._connections.do(N_("restore the RAM of"), uuid, work, _RAM_S)

    def drop_saved_ram(self, uuid: str) -> None:
        """The file of ``virsh managedsave`` is removed."""

        def work(conn: Connection) -> None:
            libvirt_ram.drop(find_domain(conn, uuid))

        self._connections.do(N_("drop the saved RAM of"), uuid, work)

    def ask_to_stop(self, uuid: str) -> None:
        """Ask by the agent (5 s, if it hangs), or else by ACPI. Fine if the machine goes off."""
        how = libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT | libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN
        self._act_unless(_GOING_OFF, N_("ask to stop"), uuid, lambda one: one.shutdownFlags(how))

    def kill(self, uuid: str) -> None:
        """Switch off now.

        QEMU is gone when the call returns. Fine if the machine is off or gone.
        """
        self._act_unless(_OFF, N_("destroy"), uuid, lambda one: one.destroy())

    def _act_unless(
        self, done: frozenset[int], what: str, uuid: str, act: Callable[[VirDomain], object]
    ) -> None:
        def work(conn: Connection) -> None:
            domain = by_uuid(conn, uuid)
            if domain is None:
                return
            try:
                act(domain)
            except libvirt.libvirtError:
                if domain.state()[0] not in done:
                    raise

        self._connections.do(what, uuid, work, SLOW_S)

    def pause(self, uuid: str) -> None:
        """Stop the CPUs. QEMU's ``stop`` returns after QEMU drained and flushed every disk."""
        self._connections.do(N_("pause"), uuid, lambda conn: find_domain(conn, uuid).suspend())

    def resume(self, uuid: str) -> None:
        """Let the CPUs go on. Fine if the machine runs."""

        def work(conn: Connection) -> None:
            domain = find_domain(conn, uuid)
            if domain.state()[0] != libvirt.VIR_DOMAIN_RUNNING:
                domain.resume()

        self._connections.do(N_("resume"), uuid, work)

    def reset_button(self, uuid: str) -> None:
        """Boot the same QEMU again. A paused machine boots when its CPUs go on."""
        self._connections.do(N_("reset"), uuid, lambda conn: find_domain(conn, uuid).reset())

    def save_ram(self, uuid: str, path: Path) -> None:
        """QEMU writes its RAM and ends. An attribute of the file says whether an agent listened."""

        def work(conn: Connection) -> bool:
            domain = find_domain(conn, uuid)
            listened = agent_listens(domain.XMLDesc())
            domain.saveFlags(str(path), None, 0)
            return listened

        listened = self._connections.do(N_("save the RAM of"), uuid, work, _RAM_S)
        with suppress(OSError):  # not every file system has attributes
            os.setxattr(path, _AGENT_NOTE, b"yes" if listened else b"no")

    def restore_ram(self, uuid: str, path: Path) -> None:
        """libvirt finds the machine by the name in the file; a domain keeps its name."""

        def work(conn: Connection) -> None:
            admit(self._fence, self._rules, conn, find_domain(conn, uuid))
            conn.restoreFlags(str(path), None, libvirt.VIR_DOMAIN_SAVE_RUNNING)

        self._connections.do(N_("restore the RAM of"), uuid, work, _RAM_S)
        self._set_clock(uuid, _agent_wait_s(path))

    def _set_clock(self, uuid: str, limit_s: float) -> None:
        """Set the guest's clock by its agent, within ``limit_s``.

        A moment after the CPUs go on QEMU tells libvirt that an agent listens; until then libvirt
        knows none. A guest without an agent finds the time by its own means.
        """
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            now = {"execute": "guest-set-time", "arguments": {"time": time.time_ns()}}
            began = time.monotonic()
            try:
                self.agent(uuid, now, 10)
            except ComputeFault as fault:
                is_not_up_yet = fault.facts.get("code") == libvirt.VIR_ERR_AGENT_UNRESPONSIVE
                if is_not_up_yet and time.monotonic() - began < 1:  # else the agent hangs
                    time.sleep(0.05)
                    continue
            return

    def agent_answers(self, uuid: str) -> bool:
        """Whether the agent answers a ping. One second is enough for an agent that listens."""
        try:
            return self.agent(uuid, {"execute": "guest-ping"}, 1) == {"return": {}}
        except ComputeFault:
            return False

    def agent(self, uuid: str, command: Mapping[str, Any], timeout_s: float = 5) -> dict[str, Any]:
        """Send a command to the guest's QEMU agent. Raises ComputeFault when none answers."""
        text = json.dumps(command)

        def work(conn: Connection) -> str:
            domain = find_domain(conn, uuid)
            return str(libvirt_qemu.qemuAgentCommand(domain, text, max(1, round(timeout_s)), 0))

        answer = self._connections.do(
            N_("speak to the agent of"), uuid, work, timeout_s + _AGENT_MARGIN_S
        )
        return parse_answer(answer)

    def screenshot(self, uuid: str) -> bytes:
        """The screen as QEMU draws it, made small by a child that has nothing else."""

        def work(conn: Connection) -> bytes:
            stream = conn.newStream()
            find_domain(conn, uuid).screenshot(stream, 0)
            return receive_picture(stream)

        return make_small(self._connections.do(N_("draw"), uuid, work))

    def console(self, uuid: str) -> int:
        """One end of a new socket pair; libvirtd hands the other end to QEMU."""
        return self._connections.do(
            N_("open the console of"),
            uuid,
            lambda conn: int(find_domain(conn, uuid).openGraphicsFD(0, 0)),
        )

    # ---- networks

    def raise_fence(self) -> bool:
        """The ports of machines that are off have names too."""
        rebuild = partial(rebuild_fence, self._fence)
        return self._connections.do(N_("list"), Sentence("all domains"), rebuild)

    def is_fenced(self) -> bool:
        """Whether the firewall between seats stands as a whole; true before there are any."""
        look = partial(is_fenced, self._fence)
        return self._connections.do(N_("list"), Sentence("all domains"), look)

    def networks_without_rules(self) -> tuple[str, ...]:
        """By what nft and iptables list."""
        bridges = self._bridges_with_rules()
        bare = self._rules.bridges_without(bridges.values())
        return tuple(sorted(name for name, bridge in bridges.items() if bridge in bare))

    def renew_network_rules(self) -> None:
        """By a restart of libvirt's daemon."""
        self._rules.renew(self._bridges_with_rules().values())

    def _bridges_with_rules(self) -> dict[str, str]:
        return self._connections.do(N_("list"), Sentence("all networks"), bridges_with_rules)

    def define_network(self, spec: NetworkSpec) -> None:
        """Make, update and start a network. New seats do not disturb those that run."""

        def work(conn: Connection) -> None:
            admit(self._fence, self._rules, conn)
            define_network(conn, spec)

        call = (N_("define the network of"), spec.classroom, work, SLOW_S)
        try:
            self._connections.do(*call)
        except RulesGone:  # also where no other network runs that could show it before
            self._rules.restart()
            self._connections.do(*call)

    def remove_network(self, classroom: str, uuid: str) -> None:
        """Stop and remove a network. Fine if there is none."""

        def work(conn: Connection) -> None:
            remove_network(conn, classroom, uuid)

        self._connections.do(N_("remove the network of"), classroom, work, SLOW_S)

    def network_gateways(self) -> dict[str, str]:
        """UUID -> gateway ("10.x.y.1/24") of all networks of the host that have an address."""
        return self._connections.do(N_("list"), Sentence("all networks"), gateways)

    def taken_subnets(self) -> tuple[TakenSubnet, ...]:
        """Those of the host, and of the networks of libvirt."""
        its = self._connections.do(N_("list"), Sentence("all networks"), network_subnets)
        return (*host_subnets(), *its)

    def macs(self) -> dict[str, frozenset[str]]:
        """Those of all machines, and those that the host itself has and sees."""
        its = self._connections.do(N_("list"), Sentence("all domains"), machine_macs)
        return dict.fromkeys(macs_in_sight(), frozenset[str]()) | its


def _agent_wait_s(ram: Path) -> float:
    """How long to wait for the agent of a machine that starts from this file of RAM."""
    try:
        return 30 if os.getxattr(ram, _AGENT_NOTE) == b"yes" else 0
    except OSError:  # written by an older version, or on a file system without attributes
        return 1
