"""The kernel of this host and its modules, for a machine that reads the disks of others."""

from __future__ import annotations

import lzma
import os
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pizarra.errors import HostNotFit
from pizarra.system.process import run

_XZ = b"\xfd7zXZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKernel:
    """``/boot/vmlinuz-RELEASE`` and ``/lib/modules/RELEASE``, below ``root``."""

    root: Path
    release: str

    def image(self, *, unpacked: bool) -> bytes:
        """What QEMU boots. ``unpacked`` saves an emulated processor the work, where we can."""
        image = (self.root / f"boot/vmlinuz-{self.release}").read_bytes()
        payload = bzimage_payload(image)
        if not unpacked or not payload.startswith(_XZ):
            return image
        return lzma.LZMADecompressor().decompress(payload)  # its size stands behind the stream

    def module_files(self, names: Sequence[str]) -> list[Path]:
        """The files of these modules and of all that they need, in the order to insert them.

        A module that is part of the kernel has no file. Raises NoModule.
        """
        found: dict[Path, None] = {}
        for name in names:
            done = run(["modprobe", "--config", "/dev/null", "--dirname", str(self.root),
                        "--set-version", self.release, "--show-depends", name],
                       check=False)  # fmt: skip
            if done.returncode != 0:
                raise NoModule(name)
            lines = (line.split() for line in done.stdout.splitlines())
            found |= {Path(words[1]): None for words in lines if words[:1] == ["insmod"]}
        return list(found)


class NoModule(Exception):
    """The kernel has no module of this name."""


def find_kernel(root: Path = Path("/")) -> HostKernel:
    """The kernel that runs, or else the newest that is there with its modules.

    Raises HostNotFit.
    """
    found = _releases(root)
    if not found:
        raise no_kernel(root)
    running = os.uname().release
    return HostKernel(root=root, release=running if running in found else max(found, key=_numbers))


def no_kernel(root: Path) -> HostNotFit:
    """The error for a host without a kernel that a machine can boot."""
    return HostNotFit(
        "This host has no kernel in {folder} that has its modules in /lib/modules.",
        "A guest's files are read by a small machine that boots the kernel of this host: "
        "apt install linux-image-amd64",
        folder=root / "boot",
    )


def has_kernel(root: Path = Path("/")) -> bool:
    """Whether ``find_kernel`` finds one."""
    return bool(_releases(root))


def _releases(root: Path) -> list[str]:
    names = [path.name.removeprefix("vmlinuz-") for path in (root / "boot").glob("vmlinuz-*")]
    return [one for one in names if (root / "lib/modules" / one / "modules.dep").exists()]


def _numbers(release: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", release)]


def module_bytes(path: Path) -> bytes:
    """A module, not packed: insmod unpacks no other. Raises HostNotFit."""
    if path.suffix not in (".ko", ".xz"):
        raise HostNotFit("The kernel's module {path} is packed in an unknown way.", path=path)
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def bzimage_payload(image: bytes) -> bytes:
    """The packed ELF kernel inside a bzImage; nothing for another file.

    Offsets: the kernel's Documentation/arch/x86/boot.rst, payload_offset and payload_length.
    """
    if image[0x202:0x206] != b"HdrS":
        return b""
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = ((image[0x1F1] or 4) + 1) * 512 + offset
    return image[start : start + length]
