"""What addresses are taken on this host and around it, and by whom."""

from __future__ import annotations

from pizarra.compute.libvirt_driver import LibvirtCompute
from pizarra.compute.network_xml import NETWORK_PREFIX
from pizarra.engine.fitness.facts import AddressesSeen, Trouble, trouble
from pizarra.errors import PizarraError
from pizarra.settings import Settings
from pizarra.system.identity import host_identity


def look_at_addresses(settings: Settings) -> AddressesSeen | Trouble:
    """Raises nothing of ours."""
    compute = LibvirtCompute(settings.libvirt_uri)
    try:
        taken, macs = compute.taken_subnets(), compute.macs()
    except PizarraError as error:
        return trouble(error)
    finally:
        compute.close()
    return AddressesSeen(
        taken=taken,
        ranges=tuple(settings.subnets),
        ours={one.by: one.subnet for one in taken if one.by.startswith(NETWORK_PREFIX)},
        twice=tuple({names for names in macs.values() if len(names) > 1}),
        identity=bool(host_identity()),
    )
