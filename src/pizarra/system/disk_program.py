"""Runs a program on a disk that a hostile guest wrote: in a jail that has this disk alone."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pizarra.errors import HostNotFit
from pizarra.system.jail import jail, place_in_jail
from pizarra.system.process import Completed, run

_DISK, _FILES, _SCRIPT = "disk", "files", "script"  # in the jail
_MISSING = 127
_OF_THE_JAIL = ("unshare:", "mount:", "chroot:", "env:", "prlimit:", "setpriv:")


def run_on_disk(
    argv: Sequence[str],
    disk: Path,
    *,
    files: Mapping[str, bytes] | None = None,
    script: str = "",
    timeout_s: float = 60,
) -> Completed:
    """Run a command on a disk, whatever its exit status. Raises CommandTimedOut, HostNotFit.

    ``{disk}`` in an argument is the disk, ``{script}`` a file with that text, and ``{files}``, in
    an argument and in the script, a folder with ``files`` to read.
    """
    with tempfile.TemporaryDirectory(prefix="pizarra-disk-") as name:
        root, folder = Path(name) / "root", Path(name) / _FILES
        root.mkdir()
        folder.mkdir(mode=0o700)  # keys of seats may be in it
        place = place_in_jail(folder, _FILES)
        script = script.replace("{files}", place)
        for file, data in {**(files or {}), _SCRIPT: script.encode()}.items():
            (folder / file).write_bytes(data)
        places = {
            "{disk}": place_in_jail(disk, _DISK),
            "{script}": f"{place}/{_SCRIPT}",
            "{files}": place,
        }
        for word, where in places.items():
            argv = [one.replace(word, where) for one in argv]
        inside = jail(argv, root, shows={_FILES: folder}, disk=disk)
        done = run(inside, check=False, timeout_s=timeout_s)
    if done.returncode == _MISSING or (
        done.returncode != 0 and done.stderr.startswith(_OF_THE_JAIL)
    ):
        raise HostNotFit(
            "Disks of guests cannot be read on this host: {said}",
            "They are read by {command}, in namespaces of its own: `pizarra host check` names "
            "missing packages, and see unshare(1).",
            said=" ".join(done.stderr.split())[-300:],
            command=argv[0],
        )
    return done
