"""What is said of a host, from what was seen of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from pizarra.cli.host import finding_lines
from pizarra.engine.fitness.facts import (
    FolderSeen,
    GroupSeen,
    HostSeen,
    KernelSeen,
    LvmSeen,
    MachineSeen,
    NetworkSeen,
    PoolSeen,
    Trouble,
)
from pizarra.engine.fitness.findings import Finding, Level, is_fit
from pizarra.engine.fitness.judge import judge_host
from pizarra.engine.fitness.look import look_at_host
from pizarra.engine.fitness.look_machine import COMMANDS
from pizarra.model.sizes import GIB, MIB
from pizarra.settings import Settings
from pizarra.system.kvm import KvmProbe, KvmVerdict
from pizarra.system.lvm_calls import Unreadable

POOL = PoolSeen(
    vg="vg_class",
    name="pizarra",
    size_bytes=16 * GIB,
    metadata_bytes=16 * MIB,
    data_share=0.2,
    metadata_share=0.1,
    profile="pizarra",
    threshold=70,
)
GROUP = GroupSeen(
    name="vg_class",
    size_bytes=20 * GIB,
    free_bytes=4 * GIB,
    extent_bytes=4 * MIB,
    volumes=31,
    mda_size_bytes=MIB,
    mda_free_bytes=MIB // 2,
    pools=(POOL,),
)
LVM = LvmSeen(
    version=(2, 3, 16),
    groups=(GROUP,),
    snapshot_threshold=100,
    monitoring=True,
    retain_min=10,
    retain_days=30,
    archive_folder="/etc/lvm/archive",
    archive_files=12,
)
TARGETS = frozenset({"thin-pool", "thin", "snapshot", "snapshot-origin", "error", "linear"})
MACHINE = MachineSeen(
    commands=frozenset(COMMANDS),
    broken={},
    cpu_flag="vmx",
    systemd=True,
    udev=True,
    uefi=True,
    kernel_files=True,
    not_writable={},
)
HEALTHY = HostSeen(
    machine=MACHINE,
    kvm=KvmProbe(verdict=KvmVerdict.RAN, detail="the probe guest ran"),
    libvirt=(9, 0, 0),
    network=NetworkSeen(bridge="", tap="", firewall=""),
    kernel=KernelSeen(targets=TARGETS, loadable=frozenset({"dm_thin_pool", "dm_snapshot"})),
    lvm=LVM,
    folder=FolderSeen(path="/srv", size_bytes=100 * GIB, free_bytes=50 * GIB),
)
BARE = replace(HEALTHY, lvm=replace(LVM, groups=()))
SILENT = Trouble(text="libvirt cannot be reached.")


def lacking(*commands: str, seen: HostSeen = HEALTHY) -> HostSeen:
    machine = replace(seen.machine, commands=seen.machine.commands - set(commands))
    return replace(seen, machine=machine)


def with_machine(**more: object) -> HostSeen:
    return replace(HEALTHY, machine=replace(MACHINE, **more))  # type: ignore[arg-type]


def with_kvm(verdict: KvmVerdict, *loadable: str, flag: str = "vmx") -> HostSeen:
    kernel = KernelSeen(targets=TARGETS, loadable=frozenset(loadable))
    machine = replace(MACHINE, cpu_flag=flag)
    probe = KvmProbe(verdict=verdict, detail="no answer within 8 s")
    return replace(HEALTHY, kvm=probe, kernel=kernel, machine=machine)


def with_kernel(targets: Iterable[str] | Trouble, *loadable: str, bare: bool = False) -> HostSeen:
    loaded = targets if isinstance(targets, Trouble) else frozenset(targets)
    kernel = KernelSeen(targets=loaded, loadable=frozenset(loadable))
    return replace(BARE if bare else HEALTHY, kernel=kernel)


def with_group(**changes: object) -> HostSeen:
    group = replace(GROUP, **changes)  # type: ignore[arg-type]
    return replace(HEALTHY, lvm=replace(LVM, groups=(group,)))


def with_pool(free_bytes: int = 4 * GIB, **changes: object) -> HostSeen:
    pool = replace(POOL, **changes)  # type: ignore[arg-type]
    return with_group(pools=(pool,), free_bytes=free_bytes)


def with_lvm(**changes: object) -> HostSeen:
    return replace(HEALTHY, lvm=replace(LVM, **changes))  # type: ignore[arg-type]


def finding(seen: HostSeen, check: str) -> Finding:
    return next(one for one in judge_host(seen) if one.check == check)


# ---- judging

U, W, A, G = Level.UNFIT, Level.WARNING, Level.ADVICE, Level.GOOD
START = "systemctl enable --now libvirtd"
POOL_AT = "vg_class/pizarra"
THICK = with_group(thick_seats=30)
TWO_GROUPS = with_lvm(groups=(replace(GROUP, pools=()), replace(GROUP, name="b", pools=())))

TWINS = (replace(GROUP, uuid="ours", ours=True), replace(GROUP, uuid="theirs", pools=()))
LOCAL = ">>/etc/lvm/lvmlocal.conf"


def set_locally(line: str) -> str:
    return f"printf '%s\\n' '{line}' {LOCAL}"


def complaining(line: str) -> HostSeen:
    return with_lvm(complaints=(line,))


# seen, check, level, words that must be there, the command, whether --fix may
CASES: dict[str, tuple[HostSeen, str, Level, str, str, bool]] = {
    "two volume groups of one name": (
        *(with_lvm(groups=TWINS), "namesake vg_class", W, "Pizarra goes on with the one"),
        *("vgrename theirs vg_class_2", False),
    ),
    "an exported volume group": (
        *(with_group(exported=True), "volume-group vg_class", U, "exported"),
        *("vgimport vg_class", False),
    ),
    "a volume group that cannot be read": (
        *(with_lvm(unreadable=(Unreadable(name="b", where="vg", why="odd"),)), "volume-group b"),
        *(W, "cannot be read at vg: odd", "vgck b", False),
    ),
    "a disk of LVM in no group": (
        *(with_lvm(loose_disks=("/dev/sdb",)), "loose-disks", A, "/dev/sdb"),
        *("vgextend vg_class /dev/sdb", False),
    ),
    "a disk of LVM, and no group": (
        *(with_lvm(groups=(), loose_disks=("/dev/sdb",)), "loose-disks", A, "/dev/sdb"),
        *("vgcreate vg_class /dev/sdb", False),
    ),
    "an unknown key in lvm.conf": (
        *(complaining('Configuration setting "log/x" unknown.'), "lvm-report", A, "log/x"),
        *("lvmconfig --validate", False),
    ),
    "a card reader without a card": (
        *(complaining("/dev/sdb: open failed: No medium found"), "lvm-report", A, "No medium"),
        *(set_locally('devices/global_filter=["r|^/dev/sdb$|"]'), False),
    ),
    "a copy of a disk": (
        *(complaining("WARNING: Not using device /dev/sdc for PV abc."), "lvm-report", A, "sdc"),
        *("vgimportclone /dev/sdc", False),
    ),
    "a report that is not whole": (
        *(with_lvm(partly=True, complaints=("vg_x: bad checksum",)), "lvm-report", W, "checksum"),
        *("vgck", False),
    ),
    "lvm prints the names of its commands": (
        *(with_lvm(settings={"log/command_names": "1"}), "lvm-printing", A, "log/command_names"),
        *(set_locally("log/command_names=0"), False),
    ),
    "lvm in test mode": (
        *(with_lvm(settings={"global/test": "1"}), "lvm-setting global/test", W, "test mode"),
        *(set_locally("global/test=0"), False),
    ),
    "locks of lvm elsewhere": (
        *(with_lvm(settings={"global/locking_dir": '"/l"'}), "lvm-setting global/locking_dir", U),
        *("locks", set_locally('global/locking_dir="/run/lock/lvm"'), False),
    ),
    "a list of what is activated": (
        *(with_lvm(settings={"activation/volume_list": '["a"]'}),),
        *("lvm-setting activation/volume_list", W, '["a"]'),
        *("lvmconfig activation/volume_list", False),
    ),
    "kvm module not loaded": (
        *(with_kvm(KvmVerdict.NO_DEVICE, "kvm_intel"), "kvm", W, "slow"),
        *("modprobe kvm_intel", True),
    ),
    "kvm on amd": (
        *(with_kvm(KvmVerdict.NO_DEVICE, "kvm_amd", flag="svm"), "kvm", W, "slow"),
        *("modprobe kvm_amd", True),
    ),
    "kvm off in the firmware": (
        *(with_kvm(KvmVerdict.NO_DEVICE, "kvm_intel", flag=""), "kvm", W, "BIOS"),
        *("", False),
    ),
    "kvm hangs": (with_kvm(KvmVerdict.HUNG), "kvm", W, "no answer within 8 s", "", False),
    "kvm without qemu": (with_kvm(KvmVerdict.NO_QEMU), "kvm", W, "could not be tried", "", False),
    "no qemu": (
        *(lacking("qemu-system-x86_64", "qemu-img"), "qemu", U, "qemu-system-x86_64, qemu-img"),
        *("apt-get install qemu-system-x86 qemu-utils", True),
    ),
    "no libvirt": (
        *(lacking("libvirtd", "virtqemud", seen=replace(HEALTHY, libvirt=SILENT)), "libvirt", U),
        *("not installed", "apt-get install libvirt-daemon-system libvirt-clients", True),
    ),
    "libvirtd stopped": (
        *(replace(HEALTHY, libvirt=SILENT), "libvirt", U, "cannot be reached", START, True),
    ),
    "libvirtd stopped, modular": (
        *(lacking("libvirtd", seen=replace(HEALTHY, libvirt=SILENT)), "libvirt", U, "reached"),
        *("systemctl enable --now virtqemud.socket virtnetworkd.socket", True),
    ),
    "libvirtd stopped, no systemd": (
        *(replace(HEALTHY, libvirt=SILENT, machine=replace(MACHINE, systemd=False)), "libvirt", U),
        *("reached", "libvirtd -d", False),
    ),
    "libvirtd hangs": (
        *(replace(HEALTHY, libvirt=Trouble(text="Silent.", facts={"limit": 10})), "libvirt", U),
        *("Silent", "systemctl restart libvirtd", False),
    ),
    "libvirt of another address": (
        *(replace(HEALTHY, libvirt=SILENT, libvirt_uri="qemu:///session"), "libvirt", U),
        *("reached", "systemctl restart libvirtd", False),
    ),
    "libvirt too old": (replace(HEALTHY, libvirt=(7, 6, 0)), "libvirt", W, "7.6.0", "", False),
    "no tools for identities": (
        *(lacking("mcopy", "debugfs"), "identities", A, "mcopy, debugfs"),
        *("apt-get install mtools e2fsprogs", True),
    ),
    "no kernel": (
        *(with_machine(kernel_files=False), "inspect", A, "no kernel in /boot"),
        *("apt-get install linux-image-amd64", True),
    ),
    "no uefi": (with_machine(uefi=False), "uefi", A, "BIOS guests", "apt-get install ovmf", True),
    "no udev": (
        *(with_machine(udev=False), "udev", W, "does not run"),
        *("systemctl start systemd-udevd", True),
    ),
    "a tool that does not take our options": (
        with_machine(broken={"thin_delta": "no such option"}),
        *("tools", U, "thin_delta: no such option", "", False),
    ),
    "read-only root": (
        *(with_machine(not_writable={"/var": "Read-only file system"}), "permissions", U),
        *("/var (Read-only", "df -h /var; df -i /var; findmnt -T /var", False),
    ),
    "folder nearly full beside lvm": (
        *(replace(HEALTHY, folder=FolderSeen(path="/s", size_bytes=GIB, free_bytes=1)), "folder"),
        *(A, "1 B free", "", False),
    ),
    "folder nearly full, no lvm": (
        *(replace(BARE, folder=FolderSeen(path="/s", size_bytes=GIB, free_bytes=1)), "folder"),
        *(U, "little", "", False),
    ),
    "no dnsmasq": (
        *(lacking("dnsmasq"), "dnsmasq", U, "network", "apt-get install dnsmasq-base", True),
    ),
    "bridge module not loaded": (
        replace(
            HEALTHY,
            network=NetworkSeen(bridge="Not supported.", tap="", firewall=""),
            kernel=KernelSeen(targets=TARGETS, loadable=frozenset({"bridge"})),
        ),
        *("bridge", U, "Not supported.", "modprobe bridge", True),
    ),
    "tap impossible": (
        replace(HEALTHY, network=NetworkSeen(bridge="", tap="No such device", firewall="")),
        *("tap", U, "No such device", "", False),
    ),
    "no iptables": (
        lacking("iptables"),
        "firewall",
        U,
        "iptables",
        "apt-get install iptables",
        True,
    ),
    "no iptables, libvirt knows nft": (
        *(lacking("iptables", seen=replace(HEALTHY, libvirt=(11, 3, 0))), "firewall", G),
        *("", "", False),
    ),
    "firewall cannot be set": (
        replace(HEALTHY, network=NetworkSeen(bridge="", tap="", firewall="no nat")),
        *("firewall", W, "no nat", "", False),
    ),
    "lvm is missing, groups are wanted": (
        *(replace(lacking("lvm"), lvm=Trouble(text="x"), vg="vg_class"), "lvm", U),
        *("qcow2", "apt-get install lvm2", True),
    ),
    "lvm is missing": (
        *(replace(lacking("lvm"), lvm=Trouble(text="x")), "lvm", W, "qcow2"),
        *("apt-get install lvm2", True),
    ),
    "lvm hangs": (
        *(replace(HEALTHY, vg="a", lvm=Trouble(text="Stopped.", facts={"limit": 30})), "lvm", U),
        *("Stopped.", "fuser -v /run/lock/lvm/*", False),
    ),
    "lvm too old": (with_lvm(version=(2, 3, 7)), "lvm", U, "2.03.07 is too old", "", False),
    "targets not loaded": (
        *(with_kernel({"error"}, "dm_thin_pool", "dm_snapshot"), "device-mapper", A, "thin-pool"),
        *("modprobe -a dm_snapshot dm_thin_pool", True),
    ),
    "no device-mapper but groups": (
        *(with_kernel(Trouble(text="No such device.")), "device-mapper", U, "linux-image-amd64"),
        *("", False),
    ),
    "no device-mapper and no groups": (
        *(with_kernel(Trouble(text="No such device."), bare=True), "device-mapper", W, "No such"),
        *("", False),
    ),
    "no thin tools": (
        *(lacking("thin_check"), "thin-tools", U, "Missing: thin_check"),
        *("apt-get install thin-provisioning-tools", True),
    ),
    "no group": (BARE, "volume-group", W, "qcow2", "vgcreate vg_class /dev/DISK", False),
    "no group, a disk is free": (
        *(replace(BARE, unused_disks={"/dev/vda": GIB, "/dev/vdb": 20 * GIB}), "volume-group", W),
        *("/dev/vdb (20 GiB) looks unused", "vgcreate vg_class /dev/vdb", False),
    ),
    "the group of the settings is gone": (
        *(replace(HEALTHY, vg="lab"), "volume-group", U, "lab of the settings"),
        *("vgcreate lab /dev/DISK", False),
    ),
    "a disk of the group is gone": (
        *(with_group(disk_missing=True), "volume-group vg_class", U, "pvs -o+pv_missing"),
        *("", False),
    ),
    "many volumes": (
        *(with_group(volumes=301), "volume-group vg_class", A, "301 volumes", "", False),
    ),
    "no room for descriptions": (
        *(with_group(mda_free_bytes=MIB // 20), "volume-group vg_class", W, "no room"),
        *("vgcreate --metadatasize 16m vg_class2 /dev/DISK", False),
    ),
    "large archive": (
        *(with_lvm(archive_files=501), "lvm-archive", A, "501 files"),
        *("find /etc/lvm/archive -name '*.vg' -mtime +7 -delete", False),
    ),
    "left over": (
        *(replace(with_group(left_over=("deb-1",)), left_over=("win-2",)), "left-over", A),
        *("vg_class/deb-1, win-2", "pizarra recover", False),
    ),
    "no pool": (
        *(with_group(pools=()), f"thin-pool {POOL_AT}", A, "The first import makes it"),
        *("lvcreate --type thin-pool -l 80%FREE --zero y -n pizarra vg_class", True),
    ),
    "no pool, no room": (
        *(with_group(pools=(), free_bytes=GIB // 2), f"thin-pool {POOL_AT}", W, "only 512 MiB"),
        *("vgextend vg_class /dev/DISK", False),
    ),
    "no pool, two groups": (TWO_GROUPS, "thin-pool", A, "Choose one", "", False),
    "no pool, two groups, one chosen": (
        *(replace(TWO_GROUPS, vg="b"), "thin-pool b/pizarra", A, "b has no thin pool pizarra"),
        *("lvcreate --type thin-pool -l 80%FREE --zero y -n pizarra b", True),
    ),
    "pool damaged": (
        *(with_pool(health="metadata_read_only"), f"thin-pool {POOL_AT}", U, "metadata_read_only"),
        *(f"lvconvert --repair {POOL_AT}", False),
    ),
    "pool wants a check": (
        *(with_pool(check_needed=True), f"thin-pool {POOL_AT}", U, "check needed"),
        *(f"lvconvert --repair {POOL_AT}", False),
    ),
    "pool inactive": (
        *(with_pool(data_share=None, metadata_share=None), f"thin-pool {POOL_AT}", W),
        *("not active", f"lvchange -ay {POOL_AT}", True),
    ),
    "pool below the mark": (
        *(with_pool(data_share=0.79), f"pool-space {POOL_AT}", G, "79%", "", False),
    ),
    "pool at the mark": (
        *(with_pool(data_share=0.8), f"pool-space {POOL_AT}", W, "80% of the 16 GiB"),
        *(f"lvextend -l +25%LV {POOL_AT}", True),
    ),
    "pool nearly full": (
        *(with_pool(data_share=0.95), f"pool-space {POOL_AT}", U, "95%"),
        *(f"lvextend -l +25%LV {POOL_AT}", True),
    ),
    "pool nearly full, little room": (
        *(with_pool(free_bytes=GIB, data_share=0.99), f"pool-space {POOL_AT}", U, "99%"),
        *(f"lvextend -l +100%FREE {POOL_AT}", True),
    ),
    "pool nearly full, no room": (
        *(with_pool(free_bytes=0, data_share=0.99), f"pool-space {POOL_AT}", U, "add a disk"),
        *("vgextend vg_class /dev/DISK", False),
    ),
    "pool metadata at the mark": (
        *(with_pool(metadata_share=0.85), f"pool-metadata {POOL_AT}", W, "85% of the 16 MiB"),
        *(f"lvextend --poolmetadatasize +64m {POOL_AT}", True),
    ),
    "pool metadata nearly full, no room": (
        *(with_pool(free_bytes=100 * MIB, metadata_share=0.97), f"pool-metadata {POOL_AT}", U),
        *("add a disk", "vgextend vg_class /dev/DISK", False),
    ),
    "pool does not grow": (
        *(with_pool(threshold=100, profile=""), f"pool-growth {POOL_AT}", W, "does not grow"),
        *("pizarra host check --fix", True),
    ),
    "pool does not grow, by a choice": (
        *(with_pool(threshold=100, profile="mine"), f"pool-growth {POOL_AT}", W, "lvmthin(7)"),
        *("", False),
    ),
    "pool is not watched": (
        *(with_pool(monitored=False), f"pool-growth {POOL_AT}", W, "does not watch"),
        *(f"lvchange --monitor y {POOL_AT}", True),
    ),
    "no dmeventd": (
        *(lacking("dmeventd"), f"pool-growth {POOL_AT}", W, "dmeventd is missing"),
        *("apt-get install dmeventd", True),
    ),
    "monitoring is off": (
        *(with_lvm(monitoring=False), f"pool-growth {POOL_AT}", W, "monitoring = 0", "", False),
    ),
    "classic snapshots do not grow": (
        *(THICK, "snapshot-growth", A, "a reset mends it"),
        *("echo activation/snapshot_autoextend_threshold=70 >>/etc/lvm/lvmlocal.conf", False),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_judging_when_one_thing_is_wrong_then_it_is_named_with_what_mends_it(
    case: tuple[HostSeen, str, Level, str, str, bool],
) -> None:
    seen, check, level, words, mend, fixable = case
    one = finding(seen, check)
    assert (one.level, one.mend, one.safe_to_fix) == (level, mend, fixable)
    assert words in one.says


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_judging_when_anything_is_wrong_then_each_check_is_said_once_and_fits_80_columns(
    case: tuple[HostSeen, str, Level, str, str, bool],
) -> None:
    findings = judge_host(case[0])
    checks = [one.check for one in findings]
    assert len(set(checks)) == len(checks)
    assert is_fit(findings) is (Level.UNFIT not in {one.level for one in findings})
    for one in findings:
        assert all(len(line) <= 80 for line in finding_lines(one) if "$" not in line)


def test_judging_when_all_is_well_then_the_host_is_fit_and_there_is_nothing_to_do() -> None:
    findings = judge_host(HEALTHY)
    assert {one.level for one in findings} == {Level.GOOD}
    assert not any(one.mend or one.fix for one in findings)


def test_judging_when_there_is_no_lvm_at_all_then_qcow2_still_makes_the_host_fit() -> None:
    without = lacking("lvm", "thin_check", "thin_delta", "dmeventd")
    kernel = KernelSeen(targets=Trouble(text="No such device."), loadable=frozenset())
    findings = judge_host(replace(without, lvm=Trouble(text="No lvm."), kernel=kernel))
    assert is_fit(findings)
    assert {"lvm", "device-mapper", "thin-tools"} <= {
        one.check for one in findings if one.level is Level.WARNING
    }


def test_judging_when_a_group_is_of_others_then_only_the_one_of_the_settings_counts() -> None:
    other = replace(GROUP, name="root", disk_missing=True, pools=())
    seen = replace(with_lvm(groups=(GROUP, other)), vg="vg_class")
    assert is_fit(judge_host(seen))


def test_judging_when_our_volumes_are_in_another_group_then_it_counts_too() -> None:
    other = replace(GROUP, name="old", disk_missing=True, pools=(), ours=True)
    seen = replace(with_lvm(groups=(GROUP, other)), vg="vg_class")
    assert finding(seen, "volume-group old").level is Level.UNFIT


# ---- this very machine


def test_host_seen_when_looked_at_here_then_every_fact_can_be_judged(tmp_path: Path) -> None:
    settings = Settings(libvirt_uri="qemu+unix:///system?socket=/nowhere", folder=tmp_path)
    seen = look_at_host(settings)
    assert isinstance(seen.libvirt, Trouble)
    assert finding(seen, "libvirt").level is Level.UNFIT


# ---- addresses
