"""A libvirtd of our own, in its own mount, network and process namespaces.

Its files are in one folder, and its bridges are not on the host. When its first process ends, every
QEMU ends too.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.places import LabError

_FOLDERS = ("run", "etc", "lib", "log", "cache", "sock")
_QEMU_CONF = """\
security_driver = "none"
user = "root"
group = "root"
cgroup_controllers = [ ]
namespaces = [ ]
stdio_handler = "file"
"""
_DAEMON_CONF = """\
unix_sock_dir = "{folder}/sock"
auth_unix_rw = "none"
auth_unix_ro = "none"
log_outputs = "3:file:{folder}/log/libvirtd.log"
"""
# The shell is process 1 of the namespace: it reaps each QEMU at once, and it starts libvirtd again
# as systemd would. 1024 files: libvirtd closes every possible descriptor before each exec.
_START = """\
set -e
mount --make-rprivate /
mount -t sysfs sysfs /sys
mkdir -p /run/libvirt /var/cache/libvirt
mount --bind {folder}/run /run/libvirt
mount --bind {folder}/etc /etc/libvirt
mount --bind {folder}/lib /var/lib/libvirt
mount --bind {folder}/log /var/log/libvirt
mount --bind {folder}/cache /var/cache/libvirt
ulimit -n 1024
ip link set lo up
while :; do libvirtd --config {folder}/etc/libvirtd.conf --pid-file {folder}/pid || true; done
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateLibvirt:
    """The daemon's address, and the prefix of a command that runs in its namespaces."""

    uri: str
    prefix: tuple[str, ...]  # nsenter …
    pid_file: Path


@contextmanager
def private_libvirt(folder: Path) -> Iterator[PrivateLibvirt]:
    """Run a libvirtd for as long as the block lasts. Raises LabError when it does not start."""
    _lay_out(folder)
    unshare = ("unshare", "-mnp", "--fork", "--kill-child", "--mount-proc", "sh", "-c")
    script = _START.format(folder=folder)
    with (folder / "out").open("w") as out:
        process = subprocess.Popen([*unshare, script], stdout=out, stderr=out, text=True)
    try:
        uri = f"qemu+unix:///system?socket={folder / 'sock' / 'libvirt-sock'}"
        _await_daemon(uri, folder)
        yield PrivateLibvirt(uri=uri, prefix=_enter_argv(process.pid), pid_file=folder / "pid")
    finally:
        process.kill()
        process.wait()


def _lay_out(folder: Path) -> None:
    for name in _FOLDERS:
        (folder / name).mkdir(parents=True)
    (folder / "etc" / "qemu.conf").write_text(_QEMU_CONF)
    (folder / "etc" / "libvirtd.conf").write_text(_DAEMON_CONF.format(folder=folder))


def _await_daemon(uri: str, folder: Path) -> None:
    deadline = time.monotonic() + 60
    ask = ["virsh", "-q", "-c", uri, "version"]
    while subprocess.run(ask, capture_output=True, check=False).returncode:
        if time.monotonic() > deadline:
            raise LabError(f"libvirtd did not start: {(folder / 'out').read_text()}")
        time.sleep(0.1)


def _enter_argv(unshare_pid: int) -> tuple[str, ...]:
    first = Path(f"/proc/{unshare_pid}/task/{unshare_pid}/children").read_text().split()[0]
    return ("nsenter", "-t", first, "-m", "-n", "-p")
