"""A small machine that reads the file systems of a guest's disk. It has the disk and nothing else.

A student made the file system, so this host's kernel does not read it. A throw-away QEMU boots the
kernel of this host with a few of its programs, in a jail (``system.jail``), without a network. It
gets the disk as an open descriptor, read-only, and two sockets of ours: orders and their answers
go over one, and files come over the other as an archive. Whoever takes the machine over can tell
us lies: all that it says is parsed here, with limits.

Source: QEMU's documents "System Emulation" (Invocation), "PVH boot"; ``appliance_init.sh``.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO, NoReturn

from pizarra.errors import HostNotFit, StorageFault
from pizarra.system.host_kernel import HostKernel, NoModule, module_bytes, no_kernel
from pizarra.system.initramfs import archive, program_files
from pizarra.system.jail import jail, place_in_jail
from pizarra.system.process import piping
from pizarra.system.tar_stream import Unpacking, unpack

_ANSWER_S = 600.0  # also a machine in a machine in emulation has booted by then
_LINE_BYTES_MAX = 8192
_LINES_MAX = 2000
_DIGITS_MAX = 20
_PROGRAMS = ("sh", "mount", "insmod", "blkid", "tar", "sleep", "readlink", "du", "head")
_FIRST = ("virtio_pci", "virtio_blk", "virtio_console")
# a driver, and what it asks for by an alias when it is used
_DRIVERS = {
    "ext4": ("crc32c_generic",),
    "xfs": ("crc32c_generic",),
    "btrfs": ("crc32c_generic", "xxhash_generic", "blake2b_generic", "sha256_generic"),
    "vfat": ("nls_cp437", "nls_ascii", "nls_utf8"),
    "exfat": ("nls_utf8",),
    "ntfs3": ("nls_utf8",),
    "fuse": (),  # for the program ntfs-3g, where the kernel has no ntfs3
}
_FUSE = "fuse"
_END = "Exiting with failure status"  # what tar says last, of errors that it has said before
_NTFS_PROGRAM = "ntfs-3g"
_APPEND = (
    "quiet loglevel=0 panic=-1 no_timer_check nowatchdog tsc=reliable random.trust_cpu=on "
    "cryptomgr.notests raid=noautodetect audit=0 lsm= psi=0 mitigations=off nokaslr"
)
# Without erms and fsrm the kernel copies memory by words, which emulation does faster
_TCG = ("-accel", "tcg,tb-size=64", "-cpu", "max,la57=off,erms=off,fsrm=off")
_KVM = ("-accel", "kvm", "-accel", "tcg,tb-size=64", "-cpu", "max")
_KVM_DEVICE = Path("/dev/kvm")
_QEMU = (
    *("qemu-system-x86_64", "-no-user-config", "-nodefaults", "-machine", "q35", "-m", "256"),
    *("-display", "none", "-no-reboot"),
    *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
)
_BOOT = "boot"  # the folder of the jail with what boots


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A partition; number 0 is a whole disk without partitions."""

    number: int
    size_bytes: int
    kind: str  # blkid's name: ext4, swap, LVM2_member; "" when blkid knows none


class Appliance:
    """The machine, which has booted. Raises StorageFault when it has ended or says nonsense."""

    def __init__(
        self, orders: socket.socket, archives: socket.socket, drivers: Sequence[str]
    ) -> None:
        self.drivers = drivers  # of file systems, that it has
        self._orders = orders
        self._answers = orders.makefile("rb")
        self._archives = archives.makefile("rb")

    def wait(self) -> None:
        """Until it has booted."""
        self._answer()

    def close(self) -> None:
        """Nobody listens to it any more."""
        for one in (self._answers, self._archives):
            one.close()

    def partitions(self) -> tuple[Partition, ...]:
        """The partitions of the disk, as its kernel sees them."""
        found = []
        for line in self._ask("parts"):
            match line.split():
                case ["part", number, sectors, *kind]:
                    found.append(
                        Partition(
                            number=self._number(number),
                            size_bytes=self._number(sectors) * 512,
                            kind=" ".join(kind),
                        )
                    )
                case _:
                    self._refuse()
        return tuple(found)

    def _number(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < _DIGITS_MAX):
            self._refuse()
        return int(text)

    def mount(self, part: Partition, driver: str, options: str) -> str:
        """Mount a partition in the machine; why it cannot be mounted, or nothing."""
        node = f"vda{part.number or ''}"
        return " ".join(self._ask(f"mount {node} {driver} {options}")).removeprefix("fault ")

    def look(self, path: str) -> tuple[str, str]:
        """What a name is: ``folder``, ``file``, ``other``, ``missing``, or ``link`` and where to.
        The path is relative, and has no line break."""
        answer = self._ask(f"look {path}")
        what, _, where = (answer or [""])[0].partition(" ")
        if what not in ("folder", "file", "other", "missing", "link"):
            self._refuse()
        return what, where

    def size_bytes(self, path: str) -> int:
        """What a folder holds, by the file system itself: for the progress only."""
        return self._number(" ".join(self._ask(f"size {path}")).removeprefix("size").strip())

    def send(self, wish: Unpacking, path: str) -> None:
        """Copy a file or folder out. Raises FileExistsError, StorageFault, OSError."""
        self._order(f"send {path}")
        unpack(self._archives, wish)
        for line in self._answer():
            if line.startswith("left ") and _END not in line:
                wish.copied.leave_out(wish.path, line.removeprefix("left "))

    def _ask(self, order: str) -> list[str]:
        self._order(order)
        return self._answer()

    def _order(self, order: str) -> None:
        try:
            self._orders.sendall(os.fsencode(order) + b"\n")
        except OSError:
            self._refuse()

    def _answer(self) -> list[str]:
        lines: list[str] = []
        while len(lines) < _LINES_MAX:
            try:
                line = os.fsdecode(self._answers.readline(_LINE_BYTES_MAX))
            except OSError:
                self._refuse()
            if not line.endswith("\n"):
                self._refuse()
            if line == "done\n":
                return lines
            lines.append(line.removesuffix("\n"))
        return self._refuse()

    def _refuse(self) -> NoReturn:
        raise StorageFault(
            "The machine that reads the disk has ended, or does not answer.",
            "The file system in the guest may be damaged, or made to do harm.",
        )


@contextmanager
def reading_disk(disk: Path, kernel: HostKernel, *, kvm: bool = False) -> Iterator[Appliance]:
    """A machine that reads a raw disk, for as long as the block lasts.

    ``kvm`` says that guests run under KVM here. Raises HostNotFit, StorageFault, OSError.
    """
    with ExitStack() as stack:
        content = stack.enter_context(_open(disk))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pizarra-disk-")))
        root, boot = folder / "root", folder / _BOOT
        root.mkdir()
        drivers = _write_boot(boot, kernel, kvm=kvm)
        orders, theirs = _pair(stack)
        archives, theirs_too = _pair(stack)
        fds = [content.fileno(), theirs.fileno(), theirs_too.fileno()]
        shows = {_BOOT: boot} | ({"dev/kvm": _KVM_DEVICE} if kvm else {})
        argv = [
            *_QEMU,
            *(_KVM if kvm else _TCG),
            *_boot_options(boot),
            *_devices(content, *fds[1:]),
        ]
        process = stack.enter_context(piping(jail(argv, root, shows=shows), pass_fds=fds))
        theirs.close()  # or we would wait for a machine that has ended
        theirs_too.close()
        appliance = stack.enter_context(closing(Appliance(orders, archives, drivers)))
        try:
            appliance.wait()
        except StorageFault as error:
            process.terminate()
            said = process.stdout.read(_LINE_BYTES_MAX) if process.stdout else ""
            raise HostNotFit(
                "The machine that reads a guest's disk does not start on this host: {why}",
                "It is qemu-system-x86_64 in namespaces of its own: see unshare(1).",
                why=" ".join(said.split()) or error,
            ) from None
        yield appliance


def _pair(stack: ExitStack) -> tuple[socket.socket, socket.socket]:
    ours, theirs = (stack.enter_context(one) for one in socket.socketpair())
    ours.settimeout(_ANSWER_S)
    return ours, theirs


def _open(disk: Path) -> BinaryIO:
    """Around the page cache, which may hold a student's old blocks of a device."""
    is_device = stat.S_ISBLK(disk.stat().st_mode)
    flags = os.O_RDONLY | os.O_CLOEXEC | (os.O_DIRECT if is_device else 0)
    return os.fdopen(os.open(disk, flags), "rb", buffering=0)


def _boot_options(boot: Path) -> list[str]:
    place = place_in_jail(boot, _BOOT)
    return ["-kernel", f"{place}/kernel", "-initrd", f"{place}/initramfs", "-append", _APPEND]


def _devices(disk: BinaryIO, orders: int, archives: int) -> list[str]:
    is_device = stat.S_ISBLK(os.fstat(disk.fileno()).st_mode)
    driver, direct = ("host_device", "on") if is_device else ("file", "off")
    argv = ["-add-fd", f"fd={disk.fileno()},set=0"]
    argv += ["-blockdev", f"driver={driver},filename=/dev/fdset/0,node-name=disk,read-only=on,"
             f"cache.direct={direct}"]  # fmt: skip
    argv += ["-device", "virtio-blk-pci,drive=disk", "-device", "virtio-serial-pci"]
    for number, (name, fd) in enumerate((("orders", orders), ("archives", archives)), 1):
        argv += ["-chardev", f"socket,id={name},fd={fd}"]
        argv += ["-device", f"virtserialport,nr={number},chardev={name},name={name}"]
    return argv


def _write_boot(boot: Path, kernel: HostKernel, *, kvm: bool) -> tuple[str, ...]:
    """Write the kernel and the initramfs, which the jail's user can read; the drivers in it."""
    content = {"init": (files("pizarra.system") / "appliance_init.sh").read_bytes()}
    if not _add_modules(content, kernel, "first", _FIRST):
        raise no_kernel(kernel.root)
    has_ntfs = shutil.which(_NTFS_PROGRAM) is not None
    drivers = [one for one in _DRIVERS if one != _FUSE or has_ntfs]
    drivers = [one for one in drivers if _add_modules(content, kernel, one, (one,))]
    for driver in drivers:
        for number, name in enumerate(_DRIVERS[driver]):
            _add_modules(content, kernel, f"{driver}.{number}", (name,))
    programs = (*_PROGRAMS, *((_NTFS_PROGRAM,) if _FUSE in drivers else ()))
    initramfs = archive(content | program_files(programs), ("dev", "proc", "sys", "disk"))
    boot.mkdir()
    for name, data in (("kernel", kernel.image(unpacked=not kvm)), ("initramfs", initramfs)):
        (boot / name).write_bytes(data)
        (boot / name).chmod(0o644)
    boot.chmod(0o755)
    return tuple(drivers)


def _add_modules(
    content: dict[str, bytes], kernel: HostKernel, order: str, names: Sequence[str]
) -> bool:
    """Add modules, and their order under a name; whether the kernel has them."""
    try:
        paths = kernel.module_files(names)
    except NoModule:
        return False
    content |= {f"modules/{path.name}": module_bytes(path) for path in paths}
    content[f"modules/{order}"] = "".join(f"{path.name}\n" for path in paths).encode()
    return True
