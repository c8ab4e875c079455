"""What is said of a host, from what was seen of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from pizarra.cli.host import consent, finding_lines
from pizarra.engine.events import Event, Noted
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
from pizarra.engine.fitness.findings import Finding, Fix, Level, found, good, is_fit
from pizarra.engine.fitness.judge import host_judged
from pizarra.engine.fitness.look import host_seen
from pizarra.engine.fitness.look_machine import COMMANDS
from pizarra.engine.fitness.lvm_parsed import groups_parsed, settings_parsed, version_parsed
from pizarra.engine.fitness.repair import packages_of, repaired
from pizarra.errors import StorageFault
from pizarra.model.labels import Labels, Role
from pizarra.model.sizes import GIB, MIB
from pizarra.service.host_check import HostReport
from pizarra.settings import Settings
from pizarra.system.kvm import KvmProbe, KvmVerdict

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
    cpu_flag="vmx",
    systemd=True,
    udev=True,
    uefi=True,
    not_writable=(),
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
    return next(one for one in host_judged(seen) if one.check == check)


# ---- judging

U, W, A, G = Level.UNFIT, Level.WARNING, Level.ADVICE, Level.GOOD
START = "systemctl enable --now libvirtd"
POOL_AT = "vg_class/pizarra"
THICK = with_group(thick_seats=30)
TWO_GROUPS = with_lvm(groups=(replace(GROUP, pools=()), replace(GROUP, name="b", pools=())))

# seen, check, level, words that must be there, the command, whether --fix may
CASES: dict[str, tuple[HostSeen, str, Level, str, str, bool]] = {
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
    "no uefi": (
        *(replace(HEALTHY, machine=replace(MACHINE, uefi=False)), "uefi", A, "BIOS guests"),
        *("apt-get install ovmf", True),
    ),
    "no udev": (
        *(replace(HEALTHY, machine=replace(MACHINE, udev=False)), "udev", W, "does not run"),
        *("systemctl start systemd-udevd", True),
    ),
    "read-only root": (
        *(replace(HEALTHY, machine=replace(MACHINE, not_writable=("/var",))), "permissions", U),
        *("/var", "", False),
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
    findings = host_judged(case[0])
    checks = [one.check for one in findings]
    assert len(set(checks)) == len(checks)
    assert is_fit(findings) is (Level.UNFIT not in {one.level for one in findings})
    for one in findings:
        assert all(len(line) <= 80 for line in finding_lines(one) if "$" not in line)


def test_judging_when_all_is_well_then_the_host_is_fit_and_there_is_nothing_to_do() -> None:
    findings = host_judged(HEALTHY)
    assert {one.level for one in findings} == {Level.GOOD}
    assert not any(one.mend or one.fix for one in findings)


def test_judging_when_there_is_no_lvm_at_all_then_qcow2_still_makes_the_host_fit() -> None:
    without = lacking("lvm", "thin_check", "thin_delta", "dmeventd")
    kernel = KernelSeen(targets=Trouble(text="No such device."), loadable=frozenset())
    findings = host_judged(replace(without, lvm=Trouble(text="No lvm."), kernel=kernel))
    assert is_fit(findings)
    assert {"lvm", "device-mapper", "thin-tools"} <= {
        one.check for one in findings if one.level is Level.WARNING
    }


def test_judging_when_a_group_is_of_others_then_only_the_one_of_the_settings_counts() -> None:
    other = replace(GROUP, name="root", disk_missing=True, pools=())
    seen = replace(with_lvm(groups=(GROUP, other)), vg="vg_class")
    assert is_fit(host_judged(seen))


def test_judging_when_our_volumes_are_in_another_group_then_it_counts_too() -> None:
    other = replace(GROUP, name="old", disk_missing=True, pools=(), ours=True)
    seen = replace(with_lvm(groups=(GROUP, other)), vg="vg_class")
    assert finding(seen, "volume-group old").level is Level.UNFIT


# ---- what LVM tells


def report(*rows: dict[str, str], attr: str = "wz--n-") -> str:
    vg = {
        **{"vg_name": "vg_class", "vg_size": "21470642176", "vg_free": "4194304"},
        **{"vg_extent_size": "4194304", "vg_attr": attr, "lv_count": str(len(rows))},
        **{"vg_mda_size": "1044480", "vg_mda_free": "519168"},
    }
    return json.dumps({"report": [{"vg": [vg], "seg": list(rows), "lv": []}]})


def row(name: str, segtype: str, **more: str) -> dict[str, str]:
    empty = dict.fromkeys(
        (
            *("lv_tags", "pool_lv", "data_percent", "metadata_percent", "lv_metadata_size"),
            *("lv_health_status", "lv_check_needed", "lv_profile", "seg_monitor"),
        ),
        "",
    )
    return {
        "lv_name": name,
        "lv_uuid": name,
        "lv_size": "1073741824",
        "segtype": segtype,
        **empty,
        **more,
    }


def tags(**labels: object) -> str:
    return ",".join(Labels(**labels).to_tags())  # type: ignore[arg-type]


def no_profile(profile: str) -> int:
    return {"": 100, "pizarra": 70}[profile]


def test_groups_parsed_when_a_pool_is_ours_then_its_shares_and_threshold_are_told() -> None:
    percents = {"data_percent": "81.50", "metadata_percent": "10.00"}
    pool = row("pizarra", "thin-pool", lv_metadata_size="16777216", seg_monitor="monitored",
               lv_profile="pizarra", **percents)  # fmt: skip
    group = groups_parsed(report(pool), "pizarra", no_profile)[0]
    assert (group.free_bytes, group.volumes, group.ours) == (4194304, 1, False)
    seen = group.pools[0]
    assert (seen.data_share, seen.metadata_share, seen.metadata_bytes) == (0.815, 0.1, 16 * MIB)
    assert seen.monitored
    assert seen.threshold == 70


def test_groups_parsed_when_a_pool_is_inactive_then_its_shares_are_unknown() -> None:
    pool = groups_parsed(report(row("pizarra", "thin-pool")), "pizarra", no_profile)[0].pools[0]
    assert (pool.data_share, pool.monitored, pool.threshold) == (None, False, 100)


def test_groups_parsed_when_a_pool_is_of_others_then_it_counts_only_with_volumes_of_ours() -> None:
    pool, seat = row("data", "thin-pool"), row("net-01", "thin", pool_lv="data")
    assert groups_parsed(report(pool, seat), "pizarra", no_profile)[0].pools == ()
    seat["lv_tags"] = tags(role=Role.SEAT, classroom="net", seat=1)
    group = groups_parsed(report(pool, seat), "pizarra", no_profile)[0]
    assert [one.name for one in group.pools] == ["data"]
    assert group.thick_seats == 0


def test_groups_parsed_when_seats_are_classic_and_an_import_never_ended_then_both_are_told() -> (
    None
):
    seat = row("net-01", "linear", lv_tags=tags(role=Role.SEAT, classroom="net", seat=1))
    rest = row("deb-1", "linear", lv_tags=tags(role=Role.FILLING, template="deb"))
    damaged = row("x", "linear", lv_tags="pizarra.role=king")
    group = groups_parsed(report(seat, rest, damaged, attr="wz-pn-"), "pizarra", no_profile)[0]
    assert (group.thick_seats, group.left_over, group.disk_missing) == (1, ("deb-1",), True)


@pytest.mark.parametrize("text", ["", "[]", '{"report": [{"vg": [{"vg_name": "a"}]}]}'])
def test_groups_parsed_when_the_report_cannot_be_read_then_it_says_where(text: str) -> None:
    with pytest.raises(StorageFault, match="LVM's report cannot be read"):
        groups_parsed(text, "pizarra", no_profile)


def test_groups_parsed_when_there_is_no_group_then_none() -> None:
    assert groups_parsed('{"report": []}', "pizarra", no_profile) == ()


def test_version_parsed_when_lvm_complains_too_then_it_is_still_found() -> None:
    text = "  LVM version:     2.03.16(2) (2022-05-18)\n  Library version: 1.02.185\n"
    assert version_parsed(text) == (2, 3, 16)
    assert version_parsed("nothing") == ()


def test_settings_parsed_when_values_are_quoted_then_they_are_bare() -> None:
    text = 'monitoring=1\narchive_dir="/etc/lvm/archive"\n'
    assert settings_parsed(text) == {"monitoring": "1", "archive_dir": "/etc/lvm/archive"}


# ---- mending


def heard(events: list[Event]) -> Callable[[Event], None]:
    return events.append


def test_repaired_when_a_file_is_there_already_then_it_stays_as_it_is(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "deep" / "new"
    old.write_text("mine")
    fix = Fix(files=((str(old), "ours"), (str(new), "ours")))
    repaired([found(W, "x", "y", "", fix)], heard([]), install=False)
    assert (old.read_text(), new.read_text()) == ("mine", "ours")


def test_repaired_when_one_fix_fails_then_it_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    file = tmp_path / "made"
    bad = found(W, "a", "y", "", Fix(commands=(("false",),)))
    well = found(W, "b", "y", "", Fix(commands=(("touch", str(file)),)))
    events: list[Event] = []
    repaired([bad, well], heard(events), install=False)
    assert file.exists()
    said = [one.text.format(**one.facts) for one in events if isinstance(one, Noted)]
    assert said[:2] == ["Running: false", "false failed with status 1: it printed no error"]


def test_repaired_when_nobody_consented_then_no_package_is_installed() -> None:
    events: list[Event] = []
    repaired([found(U, "x", "y", "", Fix(packages=("nothing-like-it",)))], heard(events),
             install=False)  # fmt: skip
    assert events == []


def test_packages_of_when_two_findings_name_one_then_it_is_installed_once() -> None:
    fixes = (Fix(packages=("lvm2", "ovmf")), Fix(packages=("lvm2",)))
    assert packages_of(found(W, "x", "y", "", fix) for fix in fixes) == ("lvm2", "ovmf")


def test_consent_when_nobody_can_be_asked_then_only_yes_is_yes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert consent(yes=True, as_json=True)(("lvm2",))
    assert not consent(yes=False, as_json=True)(("lvm2",))
    assert capsys.readouterr().err == "Not installed without --yes: lvm2\n"


# ---- what is shown


def test_the_document_when_something_was_mended_then_it_says_so() -> None:
    bad = found(U, "qemu", "{what} is missing.", "apt-get install q", what="QEMU")
    report = HostReport(findings=(good("kvm", "Works."), bad), fixed=frozenset({"kvm"}))
    assert report.exit_status == 3
    assert report.to_json() == {
        "fit": False,
        "findings": [
            {"check": "kvm", "level": "good", "says": "Works.", "mend": "", "fixed": True},
            {
                **{"check": "qemu", "level": "unfit", "says": "QEMU is missing."},
                **{"mend": "apt-get install q", "fixed": False},
            },
        ],
    }


def test_finding_lines_when_a_command_is_long_then_it_stays_in_one_piece() -> None:
    mend = "lvcreate --type thin-pool -l 80%FREE --zero y -n pizarra volume_group_of_a_school"
    lines = list(finding_lines(found(A, "thin-pool", "word " * 40, mend)))
    assert lines[-1].strip() == f"$ {mend}"
    assert lines[0].startswith("· advice")


# ---- this very machine


def test_host_seen_when_looked_at_here_then_every_fact_can_be_judged(tmp_path: Path) -> None:
    settings = Settings(libvirt_uri="qemu+unix:///system?socket=/nowhere", folder=tmp_path)
    seen = host_seen(settings)
    assert isinstance(seen.libvirt, Trouble)
    assert finding(seen, "libvirt").level is Level.UNFIT
