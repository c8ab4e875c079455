"""How a machine differs from what it was made as. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pizarra.model.definition import Definition, Difference, DiskDefinition, Grade
from pizarra.model.sentence import N_, Sentence


def diff_definitions(made: Definition, now: Definition) -> tuple[Difference, ...]:
    """How ``now`` differs from what the machine was ``made`` as; nothing when a start is the same.

    Differences of content come first. ``loader`` counts only where both name one: libvirt
    chooses the file for a firmware, and an update of the host may choose another.
    """
    found = [
        *_disk_differences(made, now),
        *_boot_differences(made, now),
        *_hardware_differences(made, now),
        *_limit_differences(made, now),
    ]
    return tuple(sorted(found, key=lambda one: one.grade is not Grade.CONTENT))


def live_differences(
    defined: Sequence[DiskDefinition], live: Sequence[DiskDefinition]
) -> tuple[Difference, ...]:
    """Disks on which a running machine is not what its definition says: after a snapshot, a block
    job, or a change that waits for the next start."""
    at = {disk.target: disk for disk in live}
    found = []
    for disk in defined:
        running = at.pop(disk.target, None)
        if running is None:
            text = N_("the running machine has no disk {target}")
            found.append(_content(text, target=disk.target))
        elif running.source != disk.source and disk.device == "disk":
            text = N_("the running machine has {source} as {target}")
            found.append(_content(text, source=_name(running), target=disk.target))
    for disk in at.values():
        if disk.device == "disk":
            text = N_("the running machine has {source} as {target}")
            found.append(_content(text, source=_name(disk), target=disk.target))
    return tuple(found)


def adopted_differences(made: Mapping[str, Path], now: Definition) -> tuple[Difference, ...]:
    """Of an adopted machine of which only its disks are known: by target, the paths of these."""
    at = {disk.target: disk for disk in now.disks}
    return tuple(
        _content(N_("its disk {target} is {source}"), target=target, source=_name(at[target]))
        if target in at
        else _content(N_("its disk {target} is not plugged in"), target=target)
        for target, path in made.items()
        if target not in at or not _is_same_path(at[target].source, path)
    )


def _is_same_path(source: str, path: Path) -> bool:
    """Whatever name or link the machine knows it by."""
    return source == str(path) or (bool(source) and Path(source).resolve() == path.resolve())


def _content(text: str, **facts: object) -> Difference:
    return Difference(grade=Grade.CONTENT, what=Sentence(text, **facts))


def _hardware(text: str, **facts: object) -> Difference:
    return Difference(grade=Grade.HARDWARE, what=Sentence(text, **facts))


def _limit(text: str, **facts: object) -> Difference:
    return Difference(grade=Grade.LIMIT, what=Sentence(text, **facts))


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
        text = N_("{source} is plugged in as {target}")
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


def _limit_differences(made: Definition, now: Definition) -> Iterator[Difference]:
    """What kept it from others and is gone; also of a machine that an older version made."""
    if now.nested and not made.nested:
        yield _limit(N_("it may run machines of its own"))
    if made.nested and now.nested is False:
        yield _limit(N_("it may not run machines of its own"))
    present = {nic.mac: nic for nic in now.nics}
    for nic in made.nics:
        other = present.get(nic.mac, nic)
        if (nic.port, nic.is_isolated) != (other.port, other.is_isolated):
            text = N_("its network card {mac} is not held to its own addresses")
            yield _limit(text, mac=nic.mac)


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
    made_names = {one.name for one in made.others}
    for other in now.others:
        if other.name not in made_names:
            grade = _content if other.has_content else _hardware
            text = N_("it has a device that it was not made with: {device}")
            yield grade(text, device=other.name)
    for name in sorted(made_names - {one.name for one in now.others}):
        yield _hardware(N_("a device is gone: {device}"), device=name)
