"""A disk image of the files that every lab reads first: Python, libvirt, QEMU, LVM.

Over 9p each file costs round trips. A cold `import typer, pydantic` takes half the time from a
disk, and a third of the time on a busy machine. The image is one more layer of the overlay over the
9p root, with the same paths. It is made again when a package or .venv changes.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lab.places import CACHE, REPO, LabError

_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
# Whole folders: the overlay does not look for files of these over 9p
_FOLDERS = (REPO / ".venv/lib", Path("/usr/lib") / _PYTHON)
_MORE = ("/usr/lib/x86_64-linux-gnu/libvirt", "/usr/lib/x86_64-linux-gnu/qemu", "/usr/share/qemu")
_PROGRAMS = (
    *("bash", "cat", "ls", "sleep", "mkdir", "rm", "grep", "sed", "modprobe", "ip", "nft", "mount"),
    *("lvm", "dmsetup", "dmeventd", "lvmpolld", "thin_check", "blkid", "udevadm", _PYTHON),
    *("libvirtd", "virsh", "dnsmasq", "qemu-system-x86_64", "qemu-img", "iptables"),
    *("/lib/systemd/systemd-udevd", "/usr/lib/libvirt/libvirt_leaseshelper"),
)


def get_near_files() -> Path | None:
    """The image. It is made when it is missing or old, in a few seconds; its tree is in /root.

    None when the image cannot be made, for example while pip installs into .venv. Labs work without
    the image.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "near-files.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        target = CACHE / f"near-files-{_stamp()}.img"
        if not target.exists():
            print("lab: making an image of Python, libvirt and LVM (once)", file=sys.stderr)
            try:
                with tempfile.TemporaryDirectory(dir=CACHE, prefix="near-files-") as scratch:
                    _make(Path(scratch)).rename(target)
            except LabError as error:
                print(f"lab: going on without it: {error}", file=sys.stderr)
                return None
            _remove_old()
    return target


def _remove_old() -> None:
    """Remove all images but the last two: another lab may be about to open the older one."""
    images = sorted(CACHE.glob("near-files-*.img"), key=lambda path: path.stat().st_mtime)
    for old in images[:-2]:
        old.unlink()


def _stamp() -> str:
    """A hash that changes with every installed package (apt or pip) and with this module."""
    watched = [Path("/var/lib/dpkg/status"), Path(__file__), *sorted(_site_packages())]
    facts = [f"{path} {path.lstat().st_mtime_ns} {path.lstat().st_size}" for path in watched]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def _site_packages() -> list[Path]:
    return list(REPO.glob(".venv/lib/*/site-packages/[!_]*"))


def _make(scratch: Path) -> Path:
    tree = scratch / "tree/root"
    tree.mkdir(parents=True)
    tree.chmod(0o755)
    folders = [folder for folder in _FOLDERS if folder.is_dir()]
    paths = [str(p.relative_to("/")) for p in [*folders, *_closure()] if p.exists()]
    _tool(["cp", "-a", "--parents", *paths, str(tree)], Path("/"))
    for folder in folders:
        os.setxattr(tree / folder.relative_to("/"), "trusted.overlay.opaque", b"y")
    size_mib = int(_tool(["du", "-sm", str(tree)]).split()[0])
    files = sum(1 for _ in tree.rglob("*"))
    image = scratch / "image"
    # No journal and no checksums: nobody writes to the image, and ext4 needs fewer modules
    features = ["-t", "ext4", "-O", "^has_journal,^metadata_csum", "-N", str(files + 1000)]
    _tool(["mke2fs", "-q", *features, "-d", str(tree.parent), str(image), f"{size_mib + 64}M"])
    return image


def _closure() -> list[Path]:
    """The programs, their shared libraries, symbolic links and the targets of the links."""
    named = [Path(p) for p in _MORE]
    programs = [p for name in _PROGRAMS if (p := _which(name))]
    for line in _tool(["ldd", *map(str, programs)]).splitlines():
        library = line.split("=>")[-1].split("(")[0].strip()
        if library.startswith("/") and not library.endswith(":"):
            named.append(Path(library))
    found: dict[Path, None] = {}
    for path in [*named, *programs]:
        at = path.parent.resolve() / path.name
        found |= {at: None, at.resolve(): None}
    return list(found)


def _which(name: str) -> Path | None:
    folders = ("/usr/sbin", "/usr/bin", "/")
    return next((p for f in folders if (p := Path(f) / name.lstrip("/")).is_file()), None)


def _tool(argv: list[str], where: Path | None = None) -> str:
    done = subprocess.run(argv, cwd=where, capture_output=True, text=True, check=False)
    if done.returncode != 0 and argv[0] != "ldd":
        raise LabError(f"{argv[0]} failed:\n{done.stderr.strip()[-2000:]}")
    return done.stdout
