"""One look at everything that a class needs; its parts run beside each other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from pizarra.compute.kvm_choice import probe_kvm_again
from pizarra.engine.fitness.facts import HostSeen, LvmSeen, Trouble, trouble
from pizarra.engine.fitness.look_access import closed_folders
from pizarra.engine.fitness.look_addresses import look_at_addresses
from pizarra.engine.fitness.look_lvm import look_at_lvm
from pizarra.engine.fitness.look_machine import (
    free_disks,
    look_at_folder,
    look_at_kernel,
    look_at_libvirt,
    look_at_machine,
)
from pizarra.engine.fitness.look_network import look_at_network
from pizarra.errors import PizarraError
from pizarra.model.labels import Role
from pizarra.settings import Settings
from pizarra.storage.registry import technologies


def look_at_host(settings: Settings) -> HostSeen:
    """Raises nothing of ours: a look that failed is a fact, and each has a limit."""
    with ThreadPoolExecutor() as threads:
        folders = (settings.lock_folder, settings.journal_folder, settings.folder)
        machine = threads.submit(lambda: look_at_machine(folders, closed_folders(settings)))
        kvm = threads.submit(probe_kvm_again)
        libvirt = threads.submit(look_at_libvirt, settings.libvirt_uri)
        network = threads.submit(look_at_network, settings.libvirt_uri)
        addresses = threads.submit(look_at_addresses, settings)
        kernel = threads.submit(look_at_kernel)
        lvm = threads.submit(_lvm, settings.pool)
        disks = threads.submit(free_disks)
        return HostSeen(
            machine=machine.result(),
            kvm=kvm.result(),
            libvirt=libvirt.result(),
            network=network.result(),
            addresses=addresses.result(),
            kernel=kernel.result(),
            lvm=lvm.result(),
            folder=look_at_folder(settings.folder),
            left_over=_left_over(settings),
            unused_disks=disks.result(),
            libvirt_uri=settings.libvirt_uri,
            vg=settings.vg,
            pool=settings.pool,
        )


def _lvm(pool: str) -> LvmSeen | Trouble:
    try:
        return look_at_lvm(pool)
    except PizarraError as error:
        return trouble(error)


def _left_over(settings: Settings) -> tuple[str, ...]:
    """Imports to the folder that never ended."""
    try:
        folders = [one for one in technologies() if one.folder]
        volumes = [volume for one in folders for volume in one.observe(settings).volumes]
    except PizarraError:
        return ()  # the folder's own finding says that it cannot be read
    filling = (one for one in volumes if one.labels and one.labels.role is Role.FILLING)
    return tuple(one.name for one in filling)
