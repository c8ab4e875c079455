"""Classrooms' networks: bridge, tap, firewall, dnsmasq. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pizarra.engine.fitness.facts import HostSeen, Trouble
from pizarra.engine.fitness.findings import Finding, Fix, Level, finding, good, to_install, to_run
from pizarra.model.sentence import N_

LIBVIRT_KNOWS_NFT = (10, 4)


def judge_network(seen: HostSeen) -> Iterator[Finding]:
    """What a class of its own network cannot do without."""
    if "dnsmasq" in seen.machine.commands:
        yield good("dnsmasq", N_("dnsmasq is installed: seats get addresses."))
    else:
        text = N_("dnsmasq is missing: libvirt cannot start a classroom's network.")
        yield to_install(Level.UNFIT, "dnsmasq", text, "dnsmasq-base")
    yield _device(seen, "bridge", "bridge", seen.network.bridge)
    yield _device(seen, "tap", "tun", seen.network.tap)
    yield _firewall(seen)
    if not seen.network.is_fenced:
        text = N_("The firewall between seats is gone: seats can reach each other and the host.")
        yield to_run(Level.WARNING, "fence", text, ("pizarra", "guard"))
    if bare := seen.network.bare:
        text = N_(
            "Somebody took away the firewall rules of networks of libvirt: {names}. No further"
            " network starts, and NAT is gone."
        )
        names = ", ".join(bare)
        yield finding(Level.UNFIT, "rules", text, "systemctl restart libvirtd", names=names)


def _device(seen: HostSeen, kind: str, module: str, said: str) -> Finding:
    if not said:
        return good(kind, N_("A {kind} device could be made."), kind=kind)
    text = N_("No {kind} device can be made, so seats get no network: {said}.")
    said = said.rstrip(".")
    if module not in seen.kernel.loadable:
        return finding(Level.UNFIT, kind, text, kind=kind, said=said)
    file = (f"/etc/modules-load.d/pizarra-{module}.conf", f"{module}\n")
    fix = Fix(files=(file,), commands=(("modprobe", module),))
    return finding(Level.UNFIT, kind, text, f"modprobe {module}", fix, kind=kind, said=said)


def _firewall(seen: HostSeen) -> Finding:
    commands = seen.machine.commands
    modern = not isinstance(seen.libvirt, Trouble) and seen.libvirt >= LIBVIRT_KNOWS_NFT
    if "iptables" not in commands and not (modern and "nft" in commands):
        text = N_("libvirt needs iptables for a classroom's network.")
        return to_install(Level.UNFIT, "firewall", text, "iptables")
    if seen.network.firewall:
        text = N_("The firewall cannot be set, so networks will not start: {said}.")
        said = seen.network.firewall.rstrip(".")
        return finding(Level.WARNING, "firewall", text, said=said)
    return good("firewall", N_("Firewall rules can be set."))
