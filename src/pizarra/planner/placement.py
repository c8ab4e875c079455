"""Where new volumes go, when the command does not say all of it."""

from __future__ import annotations

from pizarra.errors import BadInput, HostNotFit, NoSpace
from pizarra.model.facts import Pool, StorageKind
from pizarra.model.sizes import size_text
from pizarra.planner.host_facts import HostFacts

_LVM = (StorageKind.LVM_THIN, StorageKind.LVM_THICK)


def place_for(
    facts: HostFacts, kind: StorageKind | None, vg: str, vg_preferred: str, folder: str
) -> tuple[StorageKind, str]:
    """The kind and place to use: thin volumes where there is a volume group, else files.

    Raises BadInput, HostNotFit.
    """
    if kind is StorageKind.QCOW2 or (kind is None and not vg and not _groups(facts)):
        if vg:
            raise BadInput("qcow2 files are not in a volume group.", "Leave out --vg.")
        return StorageKind.QCOW2, folder
    return kind or StorageKind.LVM_THIN, _group(facts, vg or vg_preferred)


def _groups(facts: HostFacts) -> list[str]:
    return sorted({pool.place for pool in facts.pools if pool.kind is StorageKind.LVM_THICK})


def _group(facts: HostFacts, wanted: str) -> str:
    groups = _groups(facts)
    if wanted:
        if wanted in groups:
            return wanted
        raise HostNotFit(
            "There is no volume group {vg!r} on this host.",
            "There is: {groups}." if groups else "Make one with: vgcreate {vg} /dev/DISK",
            vg=wanted,
            groups=", ".join(groups),
        )
    with_pool = sorted({pool.place for pool in facts.pools if pool.kind is StorageKind.LVM_THIN})
    for choice in (with_pool, groups):
        if len(choice) == 1:
            return choice[0]
    if not groups:
        raise HostNotFit(
            "There is no volume group on this host.",
            "Make one with: vgcreate NAME /dev/DISK; or use --storage qcow2.",
        )
    raise BadInput(
        "There are several volume groups: {groups}.",
        "Say which with --vg.",
        groups=", ".join(groups),
    )


def fits(
    pools: tuple[Pool, ...], kind: StorageKind, place: str, size_bytes: int, what: str
) -> None:
    """Raises NoSpace when a disk is larger than the whole of where it should go."""
    sizes = [pool.size_bytes for pool in pools if pool.kind is kind and pool.place == place]
    if sizes and size_bytes > max(sizes):
        raise NoSpace(
            "{what} has {needs}; all of {place} has only {has}.",
            "Enlarge the pool or the volume group, or choose another with --vg.",
            what=what,
            needs=size_text(size_bytes),
            place=place,
            has=size_text(max(sizes)),
        )
