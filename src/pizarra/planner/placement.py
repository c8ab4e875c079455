"""Where new volumes go, when the command does not say all of it."""

from __future__ import annotations

from collections.abc import Mapping

from pizarra.errors import BadInput, HostNotFit, NoSpace
from pizarra.model.facts import Pool, StorageKind
from pizarra.model.sizes import size_text
from pizarra.planner.host_facts import HostFacts
from pizarra.storage.interface import Capabilities

_Capabilities = Mapping[StorageKind, Capabilities]


def place_for(
    facts: HostFacts,
    kind: StorageKind | None,
    vg: str,
    vg_preferred: str,
    capabilities: _Capabilities,
    folders: Mapping[StorageKind, str],
) -> tuple[StorageKind, str]:
    """The kind and place to use. Without a wish: the first kind in volume groups where there is a
    volume group, else the first that has a folder.

    ``folders``: the place of each kind that is not in volume groups. Raises BadInput, HostNotFit.
    """
    if kind is None:
        in_groups = bool(vg or _groups(facts, capabilities))
        kind = next(one for one, can in capabilities.items() if can.volume_groups is in_groups)
    if not capabilities[kind].volume_groups:
        if vg:
            raise BadInput(
                "Disks on {kind} are not in a volume group.", "Leave out --vg.", kind=kind
            )
        return kind, folders[kind]
    return kind, _group(facts, vg or vg_preferred, capabilities)


def _groups(facts: HostFacts, capabilities: _Capabilities) -> list[str]:
    return sorted({pool.place for pool in facts.pools if capabilities[pool.kind].volume_groups})


def _group(facts: HostFacts, wanted: str, capabilities: _Capabilities) -> str:
    """Raises HostNotFit, BadInput."""
    chosen = _choose_group(facts, wanted, capabilities)
    for pool in facts.pools:
        if pool.place == pool.name == chosen and pool.fault:
            raise HostNotFit(
                "The volume group {vg} cannot be used: {why}.",
                "See: pizarra host check",
                vg=chosen,
                why=pool.fault,
            )
    return chosen


def _choose_group(facts: HostFacts, wanted: str, capabilities: _Capabilities) -> str:
    groups = _groups(facts, capabilities)
    if wanted:
        if wanted in groups:
            return wanted
        raise HostNotFit(
            "There is no volume group {vg!r} on this host.",
            "There is: {groups}." if groups else "Make one with: vgcreate {vg} /dev/DISK",
            vg=wanted,
            groups=", ".join(groups),
        )
    in_groups = (pool for pool in facts.pools if pool.place in groups)
    with_pool = sorted({pool.place for pool in in_groups if pool.name != pool.place})
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
    sizes = [pool.size_bytes for pool in pools if pool.kind == kind and pool.place == place]
    if sizes and size_bytes > max(sizes):
        raise NoSpace(
            "{what} has {needs}; all of {place} has only {has}.",
            "Enlarge the pool or the volume group, or choose another with --vg.",
            what=what,
            needs=size_text(size_bytes),
            place=place,
            has=size_text(max(sizes)),
        )
