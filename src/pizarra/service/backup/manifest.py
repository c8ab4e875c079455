"""The manifest of a backup: each file with its sum, and which contents the notes in it are about.

A backup has four folders. ``state`` and ``settings`` and ``server`` hold what is right whenever it
is put back. ``moment`` holds notes about a content of a volume that may be another one by now.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pizarra import __version__
from pizarra.errors import BadInput, NotOurs, Unsupported
from pizarra.system.own_folder import is_ours
from pizarra.system.tree_copies import Copied, check_path

MANIFEST = "manifest.json"
SETTINGS, STATE, MOMENT, SERVER = "settings", "state", "moment", "server"
RESTORED = "restored"  # a folder in those of the state and of the server
SQLITE, SQL = "server.sqlite", "database.sql"
_BYTES_MAX = 256 * 1024 * 1024


class FileEntry(BaseModel):
    """A file or a folder of a backup; a folder has no sum."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    path: Annotated[str, AfterValidator(check_path)]
    mode: int = Field(ge=0, le=0o777)
    owner: str = Field(max_length=64)
    group: str = Field(max_length=64)
    changed_ns: int = Field(ge=0)
    size_bytes: int = Field(0, ge=0)
    sha256: str = Field("", pattern="^([0-9a-f]{64})?$")

    @property
    def top(self) -> str:
        """The folder of the backup that it is in."""
        return self.path.partition("/")[0]

    @property
    def below(self) -> str:
        """Its path in that folder; empty for the folder itself."""
        return self.path.partition("/")[2]

    def to_copied(self) -> Copied:
        """As ``tree_copies`` takes it."""
        return Copied(**self.model_dump())


class Manifest(BaseModel):
    """What stands in ``manifest.json``."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    format: Literal["pizarra-backup-1"] = "pizarra-backup-1"
    version: str = __version__  # of the Pizarra that wrote it
    host: str  # the identity of the host
    host_name: str
    made_at: float  # seconds since 1970
    database: Literal["none", "sqlite", "postgresql"]
    contents: dict[str, dict[str, str]]  # by UUID of a volume of a seat: storage's words
    adopted: dict[str, dict[str, str]]  # by UUID of a machine: its volumes, and their originals
    left_out: list[str]  # files of RAM
    files: list[FileEntry]


def entries(copied: list[Copied]) -> list[FileEntry]:
    """Of what was copied."""
    return [FileEntry(**asdict(one)) for one in copied]


def read_manifest(folder: int, shown: object) -> Manifest:
    """Of a backup that is open; ``shown`` is its path. Raises BadInput, Unsupported."""
    try:
        fd = os.open(MANIFEST, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(fd, "rb") as file:
            if not is_ours(os.fstat(fd)):
                raise NotOurs(
                    "Others than root may have written the manifest of {path}.",
                    "See: ls -l {path}",
                    path=shown,
                )
            text = file.read(_BYTES_MAX)
        found = Manifest.model_validate_json(text)
    except FileNotFoundError:
        raise BadInput(
            "{path} is no backup: it has no {manifest}.",
            "Name a folder that pizarra backup wrote.",
            path=shown,
            manifest=MANIFEST,
        ) from None
    except ValidationError as error:
        first: Any = error.errors()[0]
        raise BadInput(
            "The manifest of {path} cannot be read: {field}: {why}.",
            "Take another backup, or copy it again from where it was made.",
            path=shown,
            field=".".join(map(str, first["loc"])) or "JSON",
            why=first["msg"],
        ) from None
    if _numbers(found.version) > _numbers(__version__):
        raise Unsupported(
            "The backup is of Pizarra {newer}, and this is Pizarra {ours}.",
            "Install that version first, or a newer one.",
            newer=found.version,
            ours=__version__,
        )
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in version.split("."))
