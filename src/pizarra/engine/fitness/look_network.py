"""Can classrooms have networks? Tried for real, each in a network namespace that ends with it."""

from __future__ import annotations

from dataclasses import replace

from pizarra.compute.libvirt_driver import LibvirtCompute
from pizarra.engine.fitness.facts import NetworkSeen
from pizarra.errors import CommandFailed, HostNotFit, PizarraError
from pizarra.system.process import run

_LIMIT_S = 30


def look_at_network(libvirt_uri: str) -> NetworkSeen:
    """A bridge, a tap device, and what NAT needs. And what stands in the firewall now."""
    tried = NetworkSeen(
        bridge=_try("ip", "link", "add", "try0", "type", "bridge"),
        tap=_try("ip", "tuntap", "add", "try0", "mode", "tap"),
        firewall=_try_firewall(),
    )
    compute = LibvirtCompute(libvirt_uri)
    try:
        bare, is_fenced = compute.networks_without_rules(), compute.is_fenced()
    except PizarraError:
        return tried  # the findings of libvirt and of missing commands say so
    finally:
        compute.close()
    return replace(tried, is_fenced=is_fenced, bare=bare)


def _try_firewall() -> str:
    by_iptables = _try("iptables", "-w", "5", "-t", "nat", "-S")
    return by_iptables and (_try("nft", "add", "table", "ip", "try0") and by_iptables)


def _try(*argv: str) -> str:
    """Empty when it worked, else what was said."""
    try:
        done = run(["unshare", "--net", *argv], timeout_s=_LIMIT_S, check=False)
    except (CommandFailed, HostNotFit) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return said[-1] if said else f"{argv[0]} ended with status {done.returncode}"
