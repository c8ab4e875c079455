"""One look at everything that a class needs; its parts run beside each other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from pizarra.compute.kvm_choice import kvm_found
from pizarra.engine.fitness.facts import HostSeen, LvmSeen, Trouble, trouble
from pizarra.engine.fitness.look_lvm import lvm_seen
from pizarra.engine.fitness.look_machine import (
    folder_seen,
    kernel_seen,
    libvirt_seen,
    machine_seen,
    unused_disks,
)
from pizarra.engine.fitness.look_network import network_seen
from pizarra.errors import PizarraError
from pizarra.model.labels import Role
from pizarra.settings import Settings
from pizarra.storage.qcow2 import Qcow2Storage


def host_seen(settings: Settings) -> HostSeen:
    """Raises nothing of ours: a look that failed is a fact, and each has a limit."""
    with ThreadPoolExecutor() as threads:
        machine = threads.submit(machine_seen, settings.folder)
        kvm = threads.submit(kvm_found)
        libvirt = threads.submit(libvirt_seen, settings.libvirt_uri)
        network = threads.submit(network_seen)
        kernel = threads.submit(kernel_seen)
        lvm = threads.submit(_lvm, settings.pool)
        disks = threads.submit(unused_disks)
        return HostSeen(
            machine=machine.result(),
            kvm=kvm.result(),
            libvirt=libvirt.result(),
            network=network.result(),
            kernel=kernel.result(),
            lvm=lvm.result(),
            folder=folder_seen(settings.folder),
            left_over=_left_over(settings),
            unused_disks=disks.result(),
            libvirt_uri=settings.libvirt_uri,
            vg=settings.vg,
            pool=settings.pool,
        )


def _lvm(pool: str) -> LvmSeen | Trouble:
    try:
        return lvm_seen(pool)
    except PizarraError as error:
        return trouble(error)


def _left_over(settings: Settings) -> tuple[str, ...]:
    """Imports to the folder that never ended."""
    try:
        volumes = Qcow2Storage(settings.folder).observe().volumes
    except PizarraError:
        return ()  # the folder's own finding says that it cannot be read
    filling = (one for one in volumes if one.labels and one.labels.role is Role.FILLING)
    return tuple(one.name for one in filling)
