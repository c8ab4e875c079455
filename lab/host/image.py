"""The disk of a freshly installed Debian host, made by mmdebstrap, and the kernel that boots it."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from lab.host.suite import Suite, write_sources
from lab.kernel import vmlinux_from_bzimage
from lab.places import LabError

ROOT_FILES = Path(__file__).with_name("root")
DISK_GIB = 16
_FORM = 2  # count on when this module makes a disk in another way
# A KVM host as its owner would have installed it, before Pizarra: the README asks for no more.
_PACKAGES = (
    *("linux-image-amd64", "initramfs-tools", "systemd-sysv", "libpam-systemd", "dbus", "udev"),
    *("apparmor", "openssh-server", "ca-certificates", "locales", "git", "make"),
    *("lvm2", "libvirt-daemon-system", "libvirt-clients", "qemu-system-x86", "qemu-utils"),
    *("dnsmasq-base", "iptables", "nftables", "iproute2", "polkitd", "dmidecode", "virtinst"),
    *("ovmf", "swtpm", "swtpm-tools", "procps"),
    # `make install` would fetch these: an emulated host unpacks a compiler for minutes
    *("gcc", "libc6-dev", "pkg-config", "libvirt-dev", "python3-dev", "python3-venv"),
)
# Their work would fall into a test's minutes
_TIMERS_OFF = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "man-db.timer"),
    *("e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer", "logrotate.timer"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostImage:
    """A bootable system: its root disk (qcow2, one ext4), its kernel and initramfs, the SSH key.

    With `volumes`, the disk of vg0, both disks hold a saved host that goes on where it was.
    """

    root: Path
    kernel: Path
    initrd: Path
    key: Path
    volumes: Path | None = None


def base_image(suite: Suite) -> HostImage:
    """The image of `suite` under build/host, made on first use (some minutes, as root).

    Raises LabError when a tool fails; the whole log is beside the image.
    """
    folder = suite.folder
    folder.mkdir(parents=True, exist_ok=True)
    home = folder / f"base-{_stamp()}"
    with holding_lock(folder / "base.lock"):
        if not home.exists():
            print(f"host: building Debian {suite.version} (once)", file=sys.stderr, flush=True)
            for old in folder.glob("base-*"):
                shutil.rmtree(old)
            with tempfile.TemporaryDirectory(dir=folder, prefix="making-") as scratch:
                _make(suite, Path(scratch), folder / "mmdebstrap.log").rename(home)
    return HostImage(
        root=home / "root.qcow2",
        kernel=home / "vmlinux",
        initrd=home / "initrd",
        key=home / "key",
    )


@contextmanager
def holding_lock(path: Path) -> Iterator[None]:
    """Two processes that want the same file made take turns."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _stamp() -> str:
    """Changes with the packages and the files that the system is given, and with _FORM."""
    files = sorted(path for path in ROOT_FILES.rglob("*") if path.is_file())
    given = [repr((_FORM, DISK_GIB, _PACKAGES, _TIMERS_OFF)).encode()]
    given += [f"{path.relative_to(ROOT_FILES)}\0".encode() + path.read_bytes() for path in files]
    return hashlib.sha256(b"".join(given)).hexdigest()[:12]


def _make(suite: Suite, scratch: Path, log: Path) -> Path:
    tree, made = scratch / "tree", scratch / "made"
    made.mkdir()
    with log.open("w") as out:
        _call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(made / "key")], out)
        _call(_mmdebstrap(suite, scratch, tree), out)
        _configure(tree, made / "key.pub", out)
        _take_kernel(tree, made)
        raw = scratch / "root.raw"
        _call(["mkfs.ext4", "-q", "-L", "root", "-d", str(tree), str(raw), f"{DISK_GIB}G"], out)
        qcow2 = str(made / "root.qcow2")
        _call(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), qcow2], out)
    return made


def _mmdebstrap(suite: Suite, scratch: Path, tree: Path) -> list[str]:
    settings = scratch / "apt.conf"
    asked = ["apt-config", "dump", "--format", '%f "%v";%n', "Acquire::http", "Acquire::https"]
    asked += ["Acquire::Check-Valid-Until", "Acquire::Check-Date"]
    settings.write_text(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
    argv = ["mmdebstrap", "--mode=root", "--variant=important", "--dpkgopt=force-unsafe-io"]
    argv += [f"--include={','.join(_PACKAGES)}", f"--aptopt={settings}"]
    argv += ["--aptopt=Apt::Install-Recommends false"]
    sources = [str(path) for path in write_sources(suite, scratch)]
    return [*argv, suite.value, str(tree), *sources]


def _configure(tree: Path, public_key: Path, out: TextIO) -> None:
    (tree / "etc/apt/apt.conf.d/99mmdebstrap").unlink(missing_ok=True)
    _call(["cp", "-a", "--no-preserve=ownership", f"{ROOT_FILES}/.", str(tree)], out)
    (tree / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    shutil.copy(public_key, tree / "root/.ssh/authorized_keys")
    # Not empty: systemd would take the start of each overlay for a first boot
    (tree / "etc/machine-id").write_text("70697a617272610000000000000000bb\n")
    # Else the first boot makes ldconfig's cache and udev's database anew, for minutes
    for folder in ("etc", "var"):
        (tree / folder / ".updated").touch()
    systemctl = ["systemctl", f"--root={tree}", "--quiet"]
    _call([*systemctl, "enable", "systemd-networkd.service", "serial-getty@ttyS0.service"], out)
    _call([*systemctl, "disable", "systemd-networkd-wait-online.service"], out)
    _call([*systemctl, "mask", *_TIMERS_OFF], out)
    _call([*systemctl, "set-default", "multi-user.target"], out)


def _take_kernel(tree: Path, made: Path) -> None:
    image = next((tree / "boot").glob("vmlinuz-*"))
    (made / "vmlinux").write_bytes(vmlinux_from_bzimage(image.read_bytes()))
    shutil.copy(next((tree / "boot").glob("initrd.img-*")), made / "initrd")


def _call(argv: list[str], out: TextIO) -> None:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False)
    if done.returncode != 0:
        raise LabError(f"{argv[0]} failed ({done.returncode}): see {out.name}")
