"""All findings of a host, in the order in which ``--fix`` mends them. Pure."""

from __future__ import annotations

from pizarra.engine.fitness.facts import HostSeen
from pizarra.engine.fitness.findings import Finding
from pizarra.engine.fitness.judge_lvm import lvm_judged
from pizarra.engine.fitness.judge_machine import machine_judged
from pizarra.engine.fitness.judge_network import network_judged
from pizarra.engine.fitness.judge_pools import pools_judged


def host_judged(seen: HostSeen) -> tuple[Finding, ...]:
    """One finding for each check."""
    return (
        *machine_judged(seen),
        *network_judged(seen),
        *lvm_judged(seen),
        *pools_judged(seen),
    )
