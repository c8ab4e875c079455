"""The small JSON file beside a qcow2 image that says whose it is: what tags are on LVM.

``net-01.qcow2`` has ``net-01.qcow2.json``: its UUID, and its labels under the keys of the tags.
It is the only record, so it is written whole or not at all, and outlives a power cut.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pizarra.errors import AlreadyExists, NotOurs
from pizarra.model.labels import Labels, labels_from_dict, tags_of
from pizarra.system.file_copies import write_atomically, write_new

SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What stands in one."""

    uuid: str
    labels: Labels
    tags: tuple[str, ...] = ()  # the labels as they stand in the file, in the form of tags


def sidecar_path(image: Path) -> Path:
    """Where an image's sidecar is."""
    return image.with_name(image.name + SUFFIX)


def read_sidecar(image: Path) -> Sidecar | None:
    """None when there is none. Raises NotOurs when it cannot be read, OSError."""
    try:
        text = sidecar_path(image).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise NotOurs("its sidecar is not text") from None
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise NotOurs("its sidecar is not JSON: {why}", why=error) from None
    if not isinstance(raw, dict) or not isinstance(raw.get("uuid"), str) or not raw["uuid"]:
        raise NotOurs("its sidecar has no UUID")
    uuid = raw.pop("uuid")
    return Sidecar(uuid, labels_from_dict(raw), tags_of(raw))


def create_sidecar(image: Path, sidecar: Sidecar) -> None:
    """Lasting once its folder is synced. Raises AlreadyExists, OSError."""
    path = sidecar_path(image)
    fresh = path.with_name(f".{path.name}.new")
    write_new(fresh, _text(sidecar))
    try:
        os.link(fresh, path)  # never replaces one, as a rename would
    except FileExistsError:
        raise AlreadyExists("There is a volume {name} already.", name=image.stem) from None
    finally:
        fresh.unlink()


def replace_sidecar(image: Path, sidecar: Sidecar) -> None:
    """Raises OSError."""
    write_atomically(sidecar_path(image), _text(sidecar))


def remove_sidecar(image: Path) -> None:
    """Raises OSError; that it is gone already is fine."""
    with suppress(FileNotFoundError):
        sidecar_path(image).unlink()


def _text(sidecar: Sidecar) -> str:
    return json.dumps({"uuid": sidecar.uuid, **sidecar.labels.to_dict()}, indent=1) + "\n"
