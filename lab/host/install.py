"""Pizarra put on a freshly installed host, and the image of that host kept for the next runs."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lab.host.image import HostImage, base_image, holding_lock
from lab.host.machine import VG_BYTES, HostMachine, RunningHost, make_disk, running_host
from lab.host.suite import Suite
from lab.places import BUILD, REPO, LabError

CHECKOUT = "/root/pizarra"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
INSTALL_S = 1800.0


def package_of(suite: Suite) -> Path | None:
    """The newest package that `make deb` left for `suite`."""
    packages = (BUILD / "deb").glob(f"pizarra_*~deb{suite.version}_*.deb")
    return max(packages, key=lambda path: path.stat().st_mtime, default=None)


def installed_image(suite: Suite, run_dir: Path) -> HostImage:
    """A host of `suite` that has Pizarra: from its package, or from the checkout where none is.

    Made on first use and when the package or the sources changed. `run_dir` gets the logs of the
    host that it was made with. Raises LabError when the installation fails.
    """
    package = package_of(suite)
    if package:
        stamp, put = _digest([package]), lambda host: install_package(host, package)
    else:
        stamp, put = _digest(checkout_files()), install_checkout
    base = base_image(suite)
    home = base.root.parent / f"pizarra-{stamp}"
    with holding_lock(suite.folder / "pizarra.lock"):
        if not home.exists():
            for old in base.root.parent.glob("pizarra-*"):
                shutil.rmtree(old)
            _make(base, home, run_dir, put)
    return replace(base, root=home / "root.qcow2", volumes=home / "volumes.qcow2")


def _make(base: HostImage, home: Path, run_dir: Path, put: Callable[[RunningHost], object]) -> None:
    with tempfile.TemporaryDirectory(dir=home.parent, prefix="making-") as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        root = make_disk(made / "root.qcow2", base=base.root)
        volumes = make_disk(made / "volumes.qcow2", size=VG_BYTES)
        machine = HostMachine(image=base, run_dir=run_dir, root=root, volumes=volumes)
        print("host: installing Pizarra on it (once)", file=sys.stderr, flush=True)
        with running_host(machine) as host:
            began = time.monotonic()
            put(host)
            print(f"host: installed in {time.monotonic() - began:.0f} s", file=sys.stderr)
            host.shell.run("sync")
            host.save()
        made.rename(home)


def install_package(host: RunningHost, package: Path) -> None:
    """As a technician does with a package file: apt fetches what the package depends on."""
    name = f"/root/{package.name}"
    copy_in(host, package, name)
    apt = "DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600"
    must(host, f"{apt} update && {apt} --no-install-recommends install {name}")


def install_checkout(host: RunningHost) -> None:
    """By the README's own command, from the files of this checkout."""
    put_checkout(host)
    must(host, f"cd {CHECKOUT} && make install")


def put_checkout(host: RunningHost) -> None:
    """The files of this checkout under /root/pizarra, as `git clone` would bring them, and what
    pip needs on this machine to reach its index."""
    names = "\n".join(str(path.relative_to(REPO)) for path in checkout_files())
    argv = ["tar", "-C", str(REPO), "-cf", "-", "-T", "-"]
    tar = subprocess.run(argv, input=names.encode(), capture_output=True, check=True).stdout
    must(host, f"mkdir -p {CHECKOUT} && tar -C {CHECKOUT} --no-same-owner -xf -", tar)
    # pip trusts what this machine trusts
    must(host, "cat >/etc/ssl/certs/lab.crt", _CERTIFICATES.read_bytes())
    must(host, "cat >/etc/pip.conf", b"[global]\ncert = /etc/ssl/certs/lab.crt\n")


def checkout_files() -> list[Path]:
    """Those that git knows and those that it would."""
    argv = ["git", "-C", str(REPO), "ls-files", "-co", "--exclude-standard", "-z"]
    told = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    paths = (REPO / name for name in sorted(set(told.split("\0"))) if name)
    return [path for path in paths if path.is_file() or path.is_symlink()]


def copy_in(host: RunningHost, source: Path, target: str) -> None:
    """A file of this machine onto the host."""
    must(host, f"cat >{target}", source.read_bytes())


def must(host: RunningHost, command: str, send: bytes | None = None) -> str:
    """Its output. Raises LabError with the end of it when the command fails."""
    done = host.shell.run(f"{{ {command}; }} 2>&1", INSTALL_S, send)
    said = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise LabError(f"`{command}` failed on the host ({done.returncode}):\n{said[-3000:]}")
    return said


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]
