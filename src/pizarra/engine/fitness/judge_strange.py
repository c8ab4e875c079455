"""What LVM sees or says that Pizarra goes around, and settings of it that Pizarra cannot. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pizarra.engine.fitness.facts import GroupSeen, HostSeen, LostDisk, LvmSeen, ours_of
from pizarra.engine.fitness.findings import Finding, Level, finding
from pizarra.model.sentence import N_
from pizarra.system.locks import LVM_LOCKS
from pizarra.system.lvm_calls import PINNED

_LOCAL = "/etc/lvm/lvmlocal.conf"  # which stands above lvm.conf: lvm.conf(5)
_SHOWN = 3
_PRINTING = {
    **PINNED,
    "global/suffix": "1",
    "global/units": '"r"',
    "report/output_format": '"basic"',
}
# a setting -> the only value with which a class can be made, and what happens with another
_NEEDED = {
    "global/metadata_read_only": ("0", N_("LVM may not change anything: metadata_read_only.")),
    "global/activation": ("1", N_("LVM may not activate any volume: activation.")),
    "global/locking_dir": (
        f'"{LVM_LOCKS}"',
        N_("LVM has its locks in another folder than Pizarra, so both may write at once."),
    ),
}
_LISTS = ("activation/volume_list", "activation/read_only_volume_list")
_ABOUT_NAMES = ("is used by VGs", "Fix duplicate VG names")  # a finding of its own
_NOT_OPENED = re.compile(r"^(/dev/[^\s:]+): (?:open|read) failed")
_DUPLICATE = re.compile(r"Not using device (/dev/\S+) for PV")


def judge_strange(seen: HostSeen, lvm: LvmSeen) -> Iterator[Finding]:
    """A finding for each state; none when all is as usual."""
    yield from _settings(lvm)
    yield from _printing(lvm)
    yield from _complaints(lvm)
    for name, groups in seen.namesakes.items():
        yield _namesakes(seen, name, groups)
    yield from _unreadable(seen, lvm)
    yield from map(_lost_disk, lvm.lost_disks)
    if lvm.loose_disks:
        yield _loose_disks(seen, lvm.loose_disks)


def _set(*lines: str) -> str:
    words = " ".join(f"'{line}'" for line in lines)
    return f"printf '%s\\n' {words} >>{_LOCAL}"


def _settings(lvm: LvmSeen) -> Iterator[Finding]:
    for name, (value, text) in _NEEDED.items():
        if lvm.settings.get(name, value) != value:
            yield finding(Level.UNFIT, f"lvm-setting {name}", text, _set(f"{name}={value}"))
    if lvm.settings.get("global/test", "0") != "0":
        text = N_(
            "LVM is in test mode: it says that it did what was asked, and does nothing. Pizarra"
            " goes on without; but full pools do not grow, and your own commands make nothing."
        )
        yield finding(Level.WARNING, "lvm-setting global/test", text, _set("global/test=0"))
    for name in _LISTS:
        if only := lvm.settings.get(name):
            text = N_("LVM activates or writes only what {name} names: {value}. Are all groups of"
                      " classes in it?")  # fmt: skip
            mend = f"lvmconfig {name}"
            check = f"lvm-setting {name}"
            yield finding(Level.WARNING, check, text, mend, name=name, value=only)


def _printing(lvm: LvmSeen) -> Iterator[Finding]:
    changed = [name for name in _PRINTING if name in lvm.settings]
    if changed:
        text = N_(
            "Settings change what LVM prints: {names}. Pizarra's own calls do without them; scripts"
            " of others may stumble."
        )
        mend = _set(*(f"{name}={_PRINTING[name]}" for name in changed))
        yield finding(Level.ADVICE, "lvm-printing", text, mend, names=", ".join(changed))


def _complaints(lvm: LvmSeen) -> Iterator[Finding]:
    said = [line for line in lvm.complaints if not any(part in line for part in _ABOUT_NAMES)]
    facts = {"said": "; ".join(said[:_SHOWN]) or "-"}
    if lvm.partly:
        text = N_("LVM cannot show all that there is: {said}")
        yield finding(Level.WARNING, "lvm-report", text, "vgck", **facts)
    elif said:
        text = N_("LVM complains with every command; Pizarra goes on without regard to it: {said}")
        yield finding(Level.ADVICE, "lvm-report", text, _mend_of(said), **facts)


def _mend_of(said: list[str]) -> str:
    """The command against the first complaint that is known."""
    for line in said:
        if "Configuration setting" in line:
            return "lvmconfig --validate"
        if match := _NOT_OPENED.match(line):
            return _set(f'devices/global_filter=["r|^{match[1]}$|"]')
        if match := _DUPLICATE.search(line):
            return f"vgimportclone {match[1]}"
    return ""


def _namesakes(seen: HostSeen, name: str, groups: tuple[GroupSeen, ...]) -> Finding:
    """The one to rename is one that we are not in. Without it, or with two, nobody can tell."""
    ours = ours_of(groups)
    other = next((group for group in groups if not group.ours), groups[-1])
    text = N_(
        "{n} volume groups are called {vg}, so LVM does nothing with that name. Which is which:"
        " vgs -o +vg_uuid,pv_name"
    )
    level = Level.UNFIT if ours or name == seen.vg else Level.WARNING
    check = f"volume-group {name}"
    if len(ours) == 1:
        level, check = Level.WARNING, f"namesake {name}"
        text = N_(
            "{n} volume groups are called {vg}, so LVM does nothing with that name. Pizarra goes on"
            " with the one that its volumes are in; your own commands do not."
        )
    mend = f"vgrename {other.uuid} {name}_2"
    return finding(level, check, text, mend, n=len(groups), vg=name)


def _unreadable(seen: HostSeen, lvm: LvmSeen) -> Iterator[Finding]:
    for one in lvm.unreadable:
        text = N_("LVM's report of {vg} cannot be read at {where}: {why}.")
        level = Level.UNFIT if one.name == seen.vg else Level.WARNING
        facts = {"vg": one.name, "where": one.where, "why": one.why}
        yield finding(level, f"volume-group {one.name}", text, f"vgck {one.name}", **facts)


def _lost_disk(disk: LostDisk) -> Finding:
    """A loss of power can do this: LVM writes its metadata and the header that points to them
    without a flush between the two."""
    text = N_(
        "{disk} is of a volume group whose metadata LVM cannot read. The volumes are still there:"
        " make no group on it. Put back the copy that LVM keeps, then run pizarra recover."
    )
    copy = disk.copy or Path("/etc/lvm/backup/GROUP")
    mend = f"pvck --repair -f {copy} {disk.path} && vgchange -ay {copy.name}"
    return finding(Level.UNFIT, f"volume-group {copy.name}", text, mend, disk=disk.path)


def _loose_disks(seen: HostSeen, disks: tuple[str, ...]) -> Finding:
    text = N_(
        "{disks}: prepared for LVM, and in no volume group. Use it, or take the mark off: pvremove"
    )
    known = [group.name for group in seen.groups]
    if not known:
        verb = f"vgcreate {seen.vg or 'vg_class'}"
    else:
        verb = f"vgextend {known[0] if len(known) == 1 else 'GROUP'}"
    mend = f"{verb} {' '.join(disks)}"
    return finding(Level.ADVICE, "loose-disks", text, mend, disks=", ".join(disks))
