"""All findings of a host, in the order in which ``--fix`` mends them. Pure."""

from __future__ import annotations

from pizarra.engine.fitness.facts import HostSeen
from pizarra.engine.fitness.findings import Finding
from pizarra.engine.fitness.judge_addresses import judge_addresses
from pizarra.engine.fitness.judge_lvm import judge_lvm
from pizarra.engine.fitness.judge_machine import judge_machine
from pizarra.engine.fitness.judge_network import judge_network
from pizarra.engine.fitness.judge_pools import judge_pools


def judge_host(seen: HostSeen) -> tuple[Finding, ...]:
    """One finding for each check."""
    return (
        *judge_machine(seen),
        *judge_network(seen),
        *judge_addresses(seen),
        *judge_lvm(seen),
        *judge_pools(seen),
    )
