"""LVM, device-mapper, volume groups: what it means that they are as seen. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pizarra.engine.fitness.facts import GroupSeen, HostSeen, LvmSeen, Trouble
from pizarra.engine.fitness.findings import Finding, Fix, Level, finding, good, to_install, to_run
from pizarra.engine.fitness.judge_strange import judge_strange
from pizarra.model.sentence import N_, P_, Counted, Sentence
from pizarra.model.sizes import size_text

LVM_LEAST = (2, 3, 11)
VOLUMES_MANY = 300
ARCHIVE_MANY = 500
MDA_FREE_LEAST = 0.1  # LVM keeps two texts in the area, so half of it is the most that is free
NAME = "vg_class"
_TARGETS = {
    "thin-pool": "dm_thin_pool",
    "thin": "dm_thin_pool",
    "snapshot": "dm_snapshot",
    "snapshot-origin": "dm_snapshot",
    "error": "dm_mod",
}
_MODULES_FILE = "/etc/modules-load.d/pizarra-dm.conf"


def judge_lvm(seen: HostSeen) -> Iterator[Finding]:
    """Without any volume group a host serves qcow2 files: then nothing here makes it unfit."""
    level = Level.UNFIT if seen.lvm_wanted else Level.WARNING
    yield _lvm(seen, level)
    yield _device_mapper(seen, level)
    yield _thin_tools(seen, level)
    if isinstance(seen.lvm, LvmSeen):
        yield from judge_strange(seen, seen.lvm)
        yield from _volume_groups(seen, seen.lvm)
        yield _archive(seen.lvm)
    yield from _left_over(seen)


def _lvm(seen: HostSeen, level: Level) -> Finding:
    if "lvm" not in seen.machine.commands:
        text = N_("LVM is not installed: seats can only be qcow2 files.")
        return to_install(level, "lvm", text, "lvm2")
    if isinstance(seen.lvm, Trouble):
        mend = "fuser -v /run/lock/lvm/*" if "limit" in seen.lvm.facts else ""
        return finding(level, "lvm", seen.lvm.text, mend, **seen.lvm.facts)
    version = _dotted(seen.lvm.version or (0,))
    if seen.lvm.version < LVM_LEAST:
        text = N_("LVM {version} is too old: {least} or later is needed (Debian 11, Ubuntu 22.04).")
        return finding(level, "lvm", text, version=version, least=_dotted(LVM_LEAST))
    return good("lvm", N_("LVM {version} answers."), version=version)


def _dotted(version: tuple[int, ...]) -> str:
    """As LVM writes it: 2.03.16."""
    return ".".join((f"{version[0]}", *(f"{part:02d}" for part in version[1:])))


def _device_mapper(seen: HostSeen, level: Level) -> Finding:
    targets, loadable = seen.kernel.targets, seen.kernel.loadable
    loaded = frozenset[str]() if isinstance(targets, Trouble) else targets
    missing = [name for name in _TARGETS if name not in loaded]
    if not missing:
        return good("device-mapper", N_("The kernel has what rewinds need."))
    modules = sorted({_TARGETS[name] for name in missing})
    fix = Fix(
        files=((_MODULES_FILE, "".join(f"{name}\n" for name in sorted(set(_TARGETS.values())))),),
        commands=(("modprobe", "-a", *modules),),
    )
    if loadable.issuperset(modules):
        text = N_("Not loaded yet: the device-mapper targets {missing}.")
        mend = " ".join(fix.commands[0])
        return finding(Level.ADVICE, "device-mapper", text, mend, fix, missing=", ".join(missing))
    if isinstance(targets, Trouble):
        why = Sentence(targets.text, **targets.facts)
        text = N_(
            "{why} Its modules are not installed: use the kernel linux-image-amd64 (Debian) or add"
            " linux-modules-extra (Ubuntu)."
        )
        return finding(level, "device-mapper", text, why=why)
    text = N_(
        "This kernel has no device-mapper targets {missing}. Its modules are not installed: use the"
        " kernel linux-image-amd64 (Debian) or add linux-modules-extra (Ubuntu)."
    )
    return finding(level, "device-mapper", text, missing=", ".join(missing))


def _thin_tools(seen: HostSeen, level: Level) -> Finding:
    missing = [name for name in ("thin_check", "thin_delta") if name not in seen.machine.commands]
    if missing:
        text = N_("The tools for thin pools are not complete. Missing: {missing}.")
        return to_install(level, "thin-tools", text, "thin-provisioning-tools",
                          missing=", ".join(missing))  # fmt: skip
    return good("thin-tools", N_("thin_check and thin_delta are installed."))


def _volume_groups(seen: HostSeen, lvm: LvmSeen) -> Iterator[Finding]:
    names = {group.name for group in lvm.groups} | {one.name for one in lvm.unreadable}
    names |= {one.copy.name if one.copy else "" for one in lvm.lost_disks}  # with their finding
    if seen.vg and seen.vg not in names:
        yield _group_lost(seen)
    elif not names:
        yield _no_groups(seen)
    for group in seen.groups:
        yield _group(group)


def _group_lost(seen: HostSeen) -> Finding:
    disk = _unused_disk(seen)
    if disk is None:
        text = N_(
            "The volume group {vg} of the settings is not there. Give it a disk or a partition that"
            " holds nothing."
        )
    else:
        text = N_(
            "The volume group {vg} of the settings is not there. {disk} ({size}) looks unused; make"
            " sure that it is."
        )
    return _to_make(seen, Level.UNFIT, text, disk)


def _no_groups(seen: HostSeen) -> Finding:
    disk = _unused_disk(seen)
    if disk is None:
        text = N_(
            "There is no volume group: seats can only be qcow2 files, which reset more slowly. Give"
            " it a disk or a partition that holds nothing."
        )
    else:
        text = N_(
            "There is no volume group: seats can only be qcow2 files, which reset more slowly."
            " {disk} ({size}) looks unused; make sure that it is."
        )
    return _to_make(seen, Level.WARNING, text, disk)


def _unused_disk(seen: HostSeen) -> str | None:
    """The largest."""
    unused = seen.unused_disks
    return max(unused, key=lambda path: (unused[path], path), default=None)


def _to_make(seen: HostSeen, level: Level, text: str, disk: str | None) -> Finding:
    vg = seen.vg or NAME
    if disk is None:
        return finding(level, "volume-group", text, f"vgcreate {vg} /dev/DISK", vg=vg)
    size, mend = size_text(seen.unused_disks[disk]), f"vgcreate {vg} {disk}"
    return finding(level, "volume-group", text, mend, vg=vg, disk=disk, size=size)


def _group(group: GroupSeen) -> Finding:
    check, facts = f"volume-group {group.name}", {"vg": group.name}
    if group.disk_missing:
        text = N_("A disk of {vg} is missing. Connect it again; see which: pvs -o+pv_missing")
        return finding(Level.UNFIT, check, text, **facts)
    if group.exported:
        text = N_("{vg} is exported: nobody can use what is in it.")
        return finding(Level.UNFIT, check, text, f"vgimport {group.name}", **facts)
    if group.mda_free_bytes < group.mda_size_bytes * MDA_FREE_LEAST:
        text = N_(
            "{vg} has almost no room for descriptions of more volumes: use another volume group,"
            " made with a larger one."
        )
        mend = f"vgcreate --metadatasize 16m {group.name}2 /dev/DISK"
        return finding(Level.WARNING, check, text, mend, **facts)
    if group.volumes > VOLUMES_MANY:
        text = N_(
            "{vg} has {n} volumes, and LVM gets slower with each. Resets do not; for more classes"
            " use another volume group."
        )
        return finding(Level.ADVICE, check, text, n=group.volumes, **facts)
    if group.asleep:
        n = len(group.asleep)
        forms = P_(
            "{n} volume of a seat in {vg} is not active. Commands activate what they need.",
            "{n} volumes of seats in {vg} are not active. Commands activate what they need.",
        )
        command = ("vgchange", "-ay", group.name)
        return to_run(Level.WARNING, check, Counted(n, *forms), command, n=n, **facts)
    free, size = size_text(group.free_bytes), size_text(group.size_bytes)
    return good(check, N_("{vg} has {free} free of {size}."), free=free, size=size, **facts)


def _archive(lvm: LvmSeen) -> Finding:
    if lvm.archive_files <= ARCHIVE_MANY:
        forms = P_("LVM's archive has {n} file.", "LVM's archive has {n} files.")
        return good("lvm-archive", Counted(lvm.archive_files, *forms), n=lvm.archive_files)
    text = N_(
        "LVM's archive has {n} files, and LVM reads through them each time that it writes. It"
        " keeps {days} days: see retain_days in /etc/lvm/lvm.conf."
    )
    mend = f"find {lvm.archive_folder} -name '*.vg' -mtime +7 -delete"
    return finding(
        Level.ADVICE, "lvm-archive", text, mend, n=lvm.archive_files, days=lvm.retain_days
    )


def _left_over(seen: HostSeen) -> Iterator[Finding]:
    those = [f"{group.name}/{name}" for group in seen.groups for name in group.left_over]
    if those := [*those, *seen.left_over]:
        text = N_("Imports that never ended take up space: {those}.")
        yield finding(Level.ADVICE, "left-over", text, "pizarra recover", those=", ".join(those))
