"""Makes an initramfs of this host's own programs: an archive that a kernel unpacks at its boot.

Source: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst ("newc").
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from pizarra.errors import HostNotFit
from pizarra.system.process import run

_LIBRARY = re.compile(r"(/\S+) \(0x")  # of ldd(1): NAME => PATH (ADDRESS)
_FOLDER, _PROGRAM = 0o040755, 0o100755


def program_files(names: Iterable[str]) -> dict[str, bytes]:
    """Programs of this host as /bin/NAME, and the libraries that they need. Raises HostNotFit."""
    found: dict[str, bytes] = {}
    for name in names:
        path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
        if path is None:
            raise HostNotFit("The command {command} is not installed.", command=name)
        found[f"bin/{name}"] = Path(path).read_bytes()
        for library in _LIBRARY.findall(run(["ldd", path]).stdout):
            found[library.lstrip("/")] = Path(library).read_bytes()
    return found


def archive(files: Mapping[str, bytes], folders: Iterable[str]) -> bytes:
    """An initramfs of files, each executable, and of empty folders; names are relative."""
    above = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    entries = [(name, _FOLDER, b"") for name in sorted({*above, *folders} - {"."})]
    entries += [(name, _PROGRAM, data) for name, data in files.items()]
    entries.append(("TRAILER!!!", 0, b""))
    return b"".join(_entry(number, *entry) for number, entry in enumerate(entries, 1))


def _entry(number: int, name: str, mode: int, data: bytes) -> bytes:
    encoded = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
    return _pad(header) + _pad(data)


def _pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
