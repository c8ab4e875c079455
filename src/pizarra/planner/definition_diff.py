"""How a machine differs from what it was made as. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pizarra.model.definition import Definition, Difference, DiskDefinition, Grade
from pizarra.model.sentence import N_, Sentence

# devices that bring content of their own, which no reset of disks puts back
_WITH_CONTENT = frozenset({"filesystem", "shmem", "qemu:commandline", "qemu:override"})


def diff_definitions(made: Definition, now: Definition) -> tuple[Difference, ...]:
    """How ``now`` differs from what the machine was ``made`` as; nothing when a start is the same.

    Differences of content come first. ``loader`` counts only where both name one: libvirt
    chooses the file for a firmware, and an update of the host may choose another.
    """
    found = [
        *_disk_differences(made, now),
        *_boot_differences(made, now),
        *_hardware_differences(made, now),
    ]
    return tuple(sorted(found, key=lambda one: one.grade is Grade.HARDWARE))


def live_differences(defined: Definition, live: Definition) -> tuple[Difference, ...]:
    """Disks on which a running machine is not what its definition says: after a snapshot, a block
    job, or a change that waits for the next start."""
    at = {disk.target: disk for disk in live.disks}
    found = []
    for disk in defined.disks:
        running = at.get(disk.target)
        if running is None:
            text = N_("the running machine has no disk {target}")
            found.append(_content(text, target=disk.target))
        elif running.source != disk.source:
            text = N_("the running machine has {source} as {target}")
            found.append(_content(text, source=running.source or "-", target=disk.target))
    return tuple(found)


def _content(text: str, **facts: object) -> Difference:
    return Difference(grade=Grade.CONTENT, what=Sentence(text, **facts))


def _hardware(text: str, **facts: object) -> Difference:
    return Difference(grade=Grade.HARDWARE, what=Sentence(text, **facts))


def _disk_differences(made: Definition, now: Definition) -> Iterator[Difference]:
    before = {disk.target: disk for disk in made.disks}
    after = {disk.target: disk for disk in now.disks}
    for target, disk in before.items():
        present = after.get(target)
        if present is None:
            yield _content(N_("its disk {target} is not plugged in"), target=target)
        elif (present.source, present.device) != (disk.source, disk.device):
            yield _content(
                N_("its disk {target} is {source}"), target=target, source=_name(present)
            )
        elif present.format != disk.format:
            text = N_("its disk {target} is read as {format}")
            yield _content(text, target=target, format=present.format)
        elif present.transient != disk.transient:
            yield _content(N_("what is written to its disk {target} is thrown away"), target=target)
        elif present.bus != disk.bus:
            yield _hardware(N_("its disk {target} is on {bus}"), target=target, bus=present.bus)
    for target, disk in after.items():
        if target in before or (disk.device != "disk" and not disk.source):
            continue
        text = "{source} is plugged in as {target}"
        grade = _content if disk.device == "disk" else _hardware
        yield grade(text, source=_name(disk), target=target)


def _name(disk: DiskDefinition) -> str:
    return disk.source or "-"


def _boot_differences(made: Definition, now: Definition) -> Iterator[Difference]:
    if now.kernel != made.kernel:
        yield _content(N_("it boots the kernel {kernel}"), kernel=now.kernel or "-")
    if now.firmware is not made.firmware:
        yield _content(N_("its firmware is {firmware}"), firmware=str(now.firmware))
    elif made.loader and now.loader and made.loader != now.loader:
        yield _content(N_("its firmware is {firmware}"), firmware=now.loader)
    if now.nvram != made.nvram and made.firmware is now.firmware:
        yield _content(N_("its UEFI variables are in {file}"), file=now.nvram or "-")
    if now.tpm != made.tpm:
        yield _content(N_("its TPM is: {tpm}"), tpm=now.tpm or "-")
    if _order(now) != _order(made):
        text = N_("it boots from {order}")
        yield _content(text, order=", ".join(_order(now)) or "-")


def _order(one: Definition) -> tuple[str, ...]:
    """What is tried, in this order: by device where one has an order, else by kind."""
    devices = [(disk.boot, disk.target) for disk in one.disks if disk.boot]
    devices += [(nic.boot, nic.mac) for nic in one.nics if nic.boot]
    return tuple(name for _, name in sorted(devices)) or one.boot


def _hardware_differences(made: Definition, now: Definition) -> Iterator[Difference]:
    if now.machine != made.machine:
        yield _hardware(N_("its machine type is {machine}"), machine=now.machine)
    if now.memory_bytes != made.memory_bytes:
        text = N_("it has {mib} MiB of memory")
        yield _hardware(text, mib=now.memory_bytes // 2**20)
    if now.vcpus != made.vcpus:
        yield _hardware(N_("it has {vcpus} virtual processors"), vcpus=now.vcpus)
    before = {(nic.mac, nic.type, nic.source) for nic in made.nics}
    after = {(nic.mac, nic.type, nic.source) for nic in now.nics}
    for mac, kind, source in sorted(after - before):
        text = N_("it has a network card {mac} on {source}")
        yield _hardware(text, mac=mac, source=source or kind)
    for mac, _, source in sorted(before - after):
        text = N_("its network card {mac} on {source} is gone")
        yield _hardware(text, mac=mac, source=source)
    for other in sorted(set(now.others) - set(made.others)):
        grade = _content if other in _WITH_CONTENT else _hardware
        yield grade("it has a device that it was not made with: {device}", device=other)
    for other in sorted(set(made.others) - set(now.others)):
        yield _hardware(N_("a device is gone: {device}"), device=other)
