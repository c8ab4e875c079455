"""The Debian releases that a host can have, and where their packages come from."""

import sys
from enum import StrEnum
from pathlib import Path

from lab.places import BUILD, LabError

_SOURCES = (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d/debian.sources"))


class Suite(StrEnum):
    """A Debian release by its code name."""

    BOOKWORM = "bookworm"
    TRIXIE = "trixie"

    @property
    def version(self) -> str:
        """Debian's number for the release, as package versions end with it."""
        return {"bookworm": "12", "trixie": "13"}[self.value]

    @property
    def folder(self) -> Path:
        """Where the disks of hosts with this release are."""
        return BUILD / "host" / self.value


def write_sources(suite: Suite, folder: Path) -> list[Path]:
    """Write this machine's apt sources into `folder`, with `suite` in the place of its own release.

    Raises LabError when this machine names no Debian mirror.
    """
    written = []
    for source in _SOURCES:
        text = source.read_text() if source.is_file() else ""
        if "debian" in text:
            target = folder / source.name
            target.write_text(text.replace(_own_release(), suite.value))
            written.append(target)
    if not written:
        raise LabError("no Debian mirror in /etc/apt: the host's packages have no source")
    return written


def _own_release() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "VERSION_CODENAME":
            return value.strip('"')
    raise LabError("/etc/os-release names no VERSION_CODENAME: this machine is not a Debian")


if __name__ == "__main__":  # SUITE FOLDER, for shell scripts
    write_sources(Suite(sys.argv[1]), Path(sys.argv[2]))
