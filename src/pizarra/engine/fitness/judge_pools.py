"""Thin pools: there, well, with room for data and for metadata, and growing by themselves. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pizarra.engine.fitness.facts import GroupSeen, HostSeen, LvmSeen, PoolSeen
from pizarra.engine.fitness.findings import Finding, Fix, Level, finding, good, to_run
from pizarra.model.sentence import N_
from pizarra.model.sizes import GIB, MIB, size_text

WARN_SHARE, FULL_SHARE = 0.80, 0.95
THRESHOLD, GROWS_PERCENT = 70, 20
ROOM_LEAST_BYTES = GIB  # for a pool worth having
_METADATA_LEAST_BYTES = 64 * MIB
PROFILE = "pizarra"
PROFILE_FILE = (
    f"/etc/lvm/profile/{PROFILE}.profile",
    "# Made by: pizarra host check --fix. For Pizarra's thin pools: grow before they are full.\n"
    "activation {\n"
    f"\tthin_pool_autoextend_threshold={THRESHOLD}\n"
    f"\tthin_pool_autoextend_percent={GROWS_PERCENT}\n"
    "}\n",
)


def judge_pools(seen: HostSeen) -> Iterator[Finding]:
    """The pools that matter, and one that could be."""
    if not isinstance(seen.lvm, LvmSeen):
        return
    pools = [(group, pool) for group in seen.groups for pool in group.pools]
    if not pools:
        yield from _pool_absent(seen)
    for group, pool in pools:
        yield _health(pool)
        if pool.data_share is not None and pool.metadata_share is not None:
            yield _metadata(group, pool, pool.metadata_share)
            yield _space(group, pool, pool.data_share)
        yield _growth(seen, seen.lvm, pool)
    thick = [group.name for group in seen.groups if group.thick_seats]
    if thick and seen.lvm.snapshot_threshold >= 100:
        yield _snapshots(thick)


def _pool_absent(seen: HostSeen) -> Iterator[Finding]:
    groups = [group for group in seen.groups if not group.thick_seats]
    if len(groups) > 1 and not seen.vg:
        text = N_(
            "There is no thin pool yet, and there are several volume groups. Choose one in"
            ' /etc/pizarra/pizarra.toml (vg = "{vg}"), or name one with --vg.'
        )
        yield finding(Level.ADVICE, "thin-pool", text, vg=groups[0].name)
        return
    for group in groups:
        facts: dict[str, object] = {"vg": group.name, "pool": seen.pool}
        check = f"thin-pool {group.name}/{seen.pool}"
        if group.free_bytes < ROOM_LEAST_BYTES:
            text = N_("{vg} has no thin pool, and only {free} for one. Add a disk.")
            free, mend = size_text(group.free_bytes), f"vgextend {group.name} /dev/DISK"
            yield finding(Level.WARNING, check, text, mend, free=free, **facts)
        else:
            text = N_("{vg} has no thin pool {pool} yet. The first import makes it.")
            mend = f"lvcreate --type thin-pool -l 80%FREE --zero y -n {seen.pool} {group.name}"
            fix = Fix(thin_pool=(group.name, seen.pool))
            yield finding(Level.ADVICE, check, text, mend, fix, **facts)


def _health(pool: PoolSeen) -> Finding:
    check, facts = f"thin-pool {pool.path}", {"path": pool.path}
    if pool.check_needed or pool.health in ("failed", "metadata_read_only"):
        text = N_(
            "The pool {path} is damaged ({why}) and cannot be written. Stop all its machines,"
            " deactivate its volumes, then repair it."
        )
        why = pool.health or "check needed"
        mend = f"lvconvert --repair {pool.path}"
        return finding(Level.UNFIT, check, text, mend, why=why, **facts)
    if pool.data_share is None:
        text = N_("The pool {path} is not active.")
        return to_run(Level.WARNING, check, text, ("lvchange", "-ay", pool.path), **facts)
    if pool.health and pool.health != "out_of_data":  # that one is a matter of space
        text = N_("LVM says of the pool {path}: {why}.")
        return finding(Level.WARNING, check, text, why=pool.health, **facts)
    return good(check, N_("The pool {path} is well."), **facts)


def _level(share: float) -> Level:
    if share >= FULL_SHARE:
        return Level.UNFIT
    return Level.WARNING if share >= WARN_SHARE else Level.GOOD


def _space(group: GroupSeen, pool: PoolSeen, share: float) -> Finding:
    check, level = f"pool-space {pool.path}", _level(share)
    facts = {"path": pool.path, "used": f"{share:.0%}", "size": size_text(pool.size_bytes)}
    text = N_("{used} of the {size} of {path} are used.")
    if level is Level.GOOD:
        return good(check, text, **facts)
    if group.free_bytes < group.extent_bytes:
        text = N_(
            "{used} of the {size} of {path} are used. When it is full, every machine on it stops."
            " Its volume group has no room: add a disk."
        )
        return finding(level, check, text, f"vgextend {group.name} /dev/DISK", **facts)
    text = N_(
        "{used} of the {size} of {path} are used. When it is full, every machine on it stops."
    )
    step = "+25%LV" if group.free_bytes >= pool.size_bytes // 4 else "+100%FREE"
    return to_run(level, check, text, ("lvextend", "-l", step, pool.path), **facts)


def _metadata(group: GroupSeen, pool: PoolSeen, share: float) -> Finding:
    check, level = f"pool-metadata {pool.path}", _level(share)
    facts = {"path": pool.path, "used": f"{share:.0%}", "size": size_text(pool.metadata_bytes)}
    text = N_("{used} of the {size} for the metadata of {path} are used.")
    if level is Level.GOOD:
        return good(check, text, **facts)
    more = max(pool.metadata_bytes, _METADATA_LEAST_BYTES)
    if group.free_bytes < 2 * more:  # LVM keeps a spare of the same size
        text = N_(
            "{used} of the {size} for the metadata of {path} are used. When they are full, the pool"
            " can no longer be written. Its volume group has no room: add a disk."
        )
        return finding(level, check, text, f"vgextend {group.name} /dev/DISK", **facts)
    text = N_(
        "{used} of the {size} for the metadata of {path} are used. When they are full, the pool can"
        " no longer be written."
    )
    grow = ("lvextend", "--poolmetadatasize", f"+{more // MIB}m", pool.path)
    return to_run(level, check, text, grow, **facts)


def _growth(seen: HostSeen, lvm: LvmSeen, pool: PoolSeen) -> Finding:
    """Three things must hold: a threshold, dmeventd, and that it watches this pool."""
    check, facts = f"pool-growth {pool.path}", {"path": pool.path, "percent": pool.threshold}
    if pool.threshold >= 100:
        return _growth_off(seen, pool, check)
    if "dmeventd" not in seen.machine.commands:
        text = N_("dmeventd is missing: {path} does not grow by itself.")
        fix = Fix(packages=("dmeventd",))
        return finding(Level.WARNING, check, text, "apt-get install dmeventd", fix, **facts)
    if not lvm.monitoring:
        text = N_("monitoring = 0 in /etc/lvm/lvm.conf: {path} does not grow by itself.")
        return finding(Level.WARNING, check, text, **facts)
    if not pool.monitored and pool.data_share is not None:
        text = N_("dmeventd does not watch {path}: it does not grow by itself.")
        watch = ("lvchange", "--monitor", "y", pool.path)
        return to_run(Level.WARNING, check, text, watch, **facts)
    return good(check, N_("{path} grows by itself when {percent} % are used."), **facts)


def _growth_off(seen: HostSeen, pool: PoolSeen, check: str) -> Finding:
    text = N_("{path} does not grow by itself: once it is full, every machine on it stops.")
    if pool.profile or pool.name != seen.pool:  # somebody else's choice
        text = N_(
            "{path} does not grow by itself: once it is full, every machine on it stops."
            " See thin_pool_autoextend_threshold in lvm.conf(5) and lvmthin(7)."
        )
        return finding(Level.WARNING, check, text, path=pool.path)
    attach = ("lvchange", "--metadataprofile", PROFILE, pool.path)
    fix = Fix(files=(PROFILE_FILE,), commands=(attach,))
    return finding(Level.WARNING, check, text, "pizarra host check --fix", fix, path=pool.path)


def _snapshots(groups: list[str]) -> Finding:
    text = N_(
        "The stores of classic snapshots in {groups} do not grow by themselves. One that"
        " overflows loses its machine's work; a reset mends it."
    )
    line = "activation/snapshot_autoextend_threshold=70"
    mend = f"echo {line} >>/etc/lvm/lvmlocal.conf"
    return finding(Level.ADVICE, "snapshot-growth", text, mend, groups=", ".join(groups))
