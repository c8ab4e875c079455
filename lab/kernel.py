"""Debian's stock kernel: downloaded, unpacked without installation, and kept in build/lab."""

import fcntl
import lzma
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.places import CACHE, LabError
from pizarra.system.host_kernel import bzimage_payload

META_PACKAGE = "linux-image-amd64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """An unpacked kernel: `image` boots, `modules` is its /usr/lib/modules/<release>."""

    image: Path
    modules: Path

    @property
    def release(self) -> str:
        return self.modules.name


def get_kernel() -> Kernel:
    """The kernel in build/lab. The first use downloads it (about 70 MB, a few seconds).

    Raises LabError when apt-get cannot download the kernel.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with _holding_lock(CACHE / "lock"):
        home = CACHE / "kernel"
        if not home.exists():
            with tempfile.TemporaryDirectory(dir=CACHE, prefix="kernel-") as scratch:
                _fetch(Path(scratch))
                (Path(scratch) / "root").rename(home)
    modules = next((home / "lib/modules").iterdir())
    return Kernel(image=home / "vmlinux", modules=modules)


def _fetch(scratch: Path) -> None:
    print("lab: fetching Debian's kernel (once)", file=sys.stderr, flush=True)
    _tool(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", _package()], scratch)
    unpack_kernel(next(scratch.glob("*.deb")), scratch / "root")


def unpack_kernel(package: Path, root: Path) -> None:
    """Lay a kernel package out under `root`: vmlinux, usr/lib/modules, and lib for usr/lib.

    Debian 12 has its modules in /lib, Debian 13 in /usr/lib; each kmod looks where its own are.
    """
    _tool(["dpkg-deb", "-x", str(package), str(root)], package.parent)
    shutil.rmtree(root / "usr/share", ignore_errors=True)
    if (root / "lib").is_dir():
        (root / "usr").mkdir(exist_ok=True)
        (root / "lib").rename(root / "usr/lib")
    (root / "lib").symlink_to("usr/lib")
    release = next((root / "lib/modules").iterdir()).name
    _tool(["depmod", "-b", str(root), release], package.parent)
    image = root / f"boot/vmlinuz-{release}"
    (root / "vmlinux").write_bytes(vmlinux_from_bzimage(image.read_bytes()))


def _package() -> str:
    """The name of the versioned package on which the meta package depends today."""
    for attempt in range(2):
        for line in _tool(["apt-cache", "depends", META_PACKAGE], CACHE).splitlines():
            if line.strip().startswith("Depends: linux-image-"):
                return line.split()[-1]
        if attempt == 0:
            _tool(["apt-get", "-q", "-o", "DPkg::Lock::Timeout=600", "update"], CACHE)
    raise LabError(f"apt knows no {META_PACKAGE}: see that /etc/apt names a Debian mirror")


def _tool(argv: list[str], where: Path) -> str:
    done = subprocess.run(argv, cwd=where, capture_output=True, text=True, check=False)
    if done.returncode != 0 and argv[0] != "apt-cache":
        raise LabError(f"{' '.join(argv)} failed:\n{done.stderr.strip()[-2000:]}")
    return done.stdout


def vmlinux_from_bzimage(image: bytes) -> bytes:
    """The ELF kernel inside a bzImage. QEMU boots the ELF kernel by PVH.

    In software emulation the kernel needs more time to unpack itself than for the rest of its boot.
    """
    payload = bzimage_payload(image)
    if payload.startswith(b"\xfd7zXZ"):
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(b"\x28\xb5\x2f\xfd"):
        return _unzstd(payload[:-4])  # the kernel's build appends the size, 4 bytes
    raise LabError("the kernel image is packed with neither xz nor zstd: see lab/kernel.py")


def _unzstd(data: bytes) -> bytes:
    """Debian 13 packs its kernel with zstd, which Python 3.13 can not read."""
    try:
        return subprocess.run(["zstd", "-qdc"], input=data, capture_output=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise LabError(f"zstd can not unpack the kernel: {error}") from error


@contextmanager
def _holding_lock(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
