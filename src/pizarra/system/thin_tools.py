"""How the tools of thin-provisioning-tools are called."""

from __future__ import annotations

from pathlib import Path


def thin_delta_argv(metadata: Path, ids: tuple[int, int]) -> list[str]:
    """thin_delta between two devices, by the metadata snapshot that the pool holds.

    ``--metadata-snap`` goes without a value: thin-provisioning-tools 1.x (Debian 13) takes none,
    and 0.9 then finds the held one by the superblock, as 1.x does.
    """
    which = ["--thin1", str(ids[0]), "--thin2", str(ids[1])]
    return ["thin_delta", "--metadata-snap", *which, str(metadata)]
