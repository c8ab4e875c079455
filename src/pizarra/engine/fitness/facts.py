"""What a look at a host saw. Frozen values; ``judge_*`` reads nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from pizarra.errors import PizarraError
from pizarra.model.taken_subnet import TakenSubnet
from pizarra.system.kvm import KvmProbe
from pizarra.system.lvm_calls import Unreadable

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A look that failed: that is a finding, too. Words as an error has them."""

    text: str
    facts: Mapping[str, object] = field(default_factory=dict)


def trouble(error: PizarraError) -> Trouble:
    """Of an error."""
    return Trouble(text=error.text, facts=error.facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSeen:
    """The machine and its operating system."""

    commands: frozenset[str]  # of those that matter, the ones that are installed
    broken: Mapping[str, str]  # installed commands that do not do what we ask -> what they say
    cpu_flag: str  # vmx, svm, or empty: the CPU (or its hypervisor) offers no virtualisation
    systemd: bool
    udev: bool
    uefi: bool
    kernel_files: bool  # of a kernel that a machine of ours can boot
    not_writable: Mapping[str, str]  # of the folders that we need -> why nothing can be written
    closed: tuple[str, ...] = ()  # folders that QEMU's user cannot enter, the outermost first


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSeen:
    """The file system of the folder for qcow2 disks."""

    path: str
    size_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSeen:
    """What came of trying in an empty network namespace; empty when it worked. And the firewall of
    the host itself."""

    bridge: str
    tap: str
    firewall: str
    is_fenced: bool = True  # seats are kept apart, or there is none
    bare: tuple[str, ...] = ()  # networks that run without the rules of libvirt


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressesSeen:
    """What networks and machines of ours must not collide with."""

    taken: tuple[TakenSubnet, ...] = ()
    ranges: tuple[IPv4Network, ...] = ()  # of the settings
    ours: Mapping[str, IPv4Network] = field(default_factory=dict)  # by network of libvirt
    twice: tuple[frozenset[str], ...] = ()  # names of machines that have one MAC address
    identity: bool = True  # whether something tells this host from others


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSeen:
    """A thin pool that is ours by its name, or because volumes of ours are in it."""

    vg: str
    name: str
    size_bytes: int
    metadata_bytes: int
    data_share: float | None  # None when it is not active
    metadata_share: float | None
    health: str = ""  # lvs -o lv_health_status
    check_needed: bool = False
    monitored: bool = True
    profile: str = ""
    threshold: int = 100  # of its autoextension, in force for this pool; 100 is off

    @property
    def path(self) -> str:
        """As LVM's commands want it."""
        return f"{self.vg}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSeen:
    """A volume group."""

    name: str
    size_bytes: int
    free_bytes: int
    extent_bytes: int
    volumes: int
    mda_size_bytes: int
    mda_free_bytes: int
    disk_missing: bool = False
    pools: tuple[PoolSeen, ...] = ()
    thick_seats: int = 0
    asleep: tuple[str, ...] = ()  # volumes of seats that are not active
    ours: bool = False  # volumes of ours are in it
    uuid: str = ""
    exported: bool = False
    left_over: tuple[str, ...] = ()  # imports that never ended


@dataclass(frozen=True, slots=True, kw_only=True)
class LvmSeen:
    """LVM and all volume groups."""

    version: Version
    groups: tuple[GroupSeen, ...]
    snapshot_threshold: int
    monitoring: bool
    retain_min: int
    retain_days: int
    archive_folder: str
    archive_files: int
    settings: Mapping[str, str] = field(default_factory=dict)  # that are not LVM's own defaults
    complaints: tuple[str, ...] = ()  # what it says beside its reports
    partly: bool = False  # it could not show all
    unreadable: tuple[Unreadable, ...] = ()  # groups
    loose_disks: tuple[str, ...] = ()  # physical volumes of no group


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSeen:
    """Device-mapper."""

    targets: frozenset[str] | Trouble  # loaded now
    loadable: frozenset[str]  # modules that modprobe would find


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSeen:
    """Everything, at one moment."""

    machine: MachineSeen
    kvm: KvmProbe
    libvirt: Version | Trouble
    network: NetworkSeen
    addresses: AddressesSeen | Trouble = AddressesSeen()
    kernel: KernelSeen
    lvm: LvmSeen | Trouble
    folder: FolderSeen | Trouble
    left_over: tuple[str, ...] = ()  # imports to the folder that never ended
    unused_disks: Mapping[str, int] = field(default_factory=dict)  # path -> size_bytes
    libvirt_uri: str = "qemu:///system"
    vg: str = ""  # of the settings
    pool: str = "pizarra"

    @property
    def lvm_wanted(self) -> bool:
        """Somebody means to use LVM here: there is a volume group, or the settings name one."""
        has_groups = isinstance(self.lvm, LvmSeen) and bool(self.lvm.groups)
        return bool(self.vg) or has_groups

    @property
    def groups(self) -> tuple[GroupSeen, ...]:
        """The volume groups that matter: the one of the settings and those we are in, else all.
        Those that share a name are ``namesakes``."""
        if isinstance(self.lvm, Trouble):
            return ()
        known = [group for group in self.lvm.groups if group.name not in self.namesakes]
        return tuple(one for one in known if not self.vg or one.name == self.vg or one.ours)

    @property
    def namesakes(self) -> Mapping[str, tuple[GroupSeen, ...]]:
        """Volume groups that have one name, by that name. LVM does nothing with such a name."""
        if isinstance(self.lvm, Trouble):
            return {}
        names = Counter(group.name for group in self.lvm.groups)
        return {
            name: tuple(group for group in self.lvm.groups if group.name == name)
            for name, count in names.items()
            if count > 1
        }
