"""What every use case is handed: the host, and where to tell what happens."""

from __future__ import annotations

import os
from dataclasses import dataclass

from pizarra.compute.libvirt_driver import LibvirtCompute
from pizarra.engine.events import Emit, silent
from pizarra.engine.host import Host, RealStorages
from pizarra.errors import HostNotFit
from pizarra.settings import Settings, read_settings


@dataclass(frozen=True, slots=True)
class Context:
    """A host and a listener."""

    host: Host
    emit: Emit = silent
    wait_s: float = 0  # for others who work on the same seats


def context_here(
    emit: Emit = silent, settings: Settings | None = None, wait_s: float = 0
) -> Context:
    """This machine, by its settings."""
    if os.geteuid() != 0:
        raise HostNotFit(
            "Pizarra changes volumes and machines, and only root may.", "Run it with sudo."
        )
    settings = settings or read_settings()
    compute = LibvirtCompute(settings.libvirt_uri)
    return Context(Host(settings, compute, RealStorages(settings)), emit, wait_s)
