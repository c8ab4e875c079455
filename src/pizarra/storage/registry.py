"""Which storage backends there are: the one place that maps a kind to the driver of it.

A driver's package is imported when the kind is needed. A backend from elsewhere (a test's, a
plug-in's) is there once it has called ``register``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from pizarra.errors import BadInput
from pizarra.model.sentence import N_
from pizarra.storage.kinds import Kind

if TYPE_CHECKING:  # who only lists the kinds need not wait for the rest
    from pizarra.model.facts import StorageFacts, StorageKind
    from pizarra.settings import Settings
    from pizarra.storage.interface import Capabilities, Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Technology:
    """One kind of storage, and how its drivers are made."""

    kind: StorageKind
    capabilities: Capabilities
    store: Callable[[Settings, str], Storage]  # at a place: a volume group, a folder
    # everything of this host, in one report; two kinds with the same function share the report
    observe: Callable[[Settings], StorageFacts]
    folder: Callable[[Settings], str] | None = None  # its one place, if not volume groups


# in the order in which a new template looks for a place: module with a constant TECHNOLOGY
_BUILT_IN: dict[StorageKind, str] = {
    Kind.LVM_THIN: "pizarra.storage.dm_thin.store",
    Kind.LVM_THICK: "pizarra.storage.dm_snapshot.store",
    Kind.QCOW2: "pizarra.storage.qcow2.store",
}
_registered: dict[StorageKind, Technology] = {}


def register(technology: Technology) -> None:
    """From now on hosts have this kind too."""
    _registered[technology.kind] = technology


def unregister(kind: StorageKind) -> None:
    """Take a registered kind away again; fine if it is not there."""
    _registered.pop(kind, None)


def kinds() -> tuple[StorageKind, ...]:
    """All that can be chosen, in the order in which a place is looked for."""
    return tuple(str(kind) for kind in (*_BUILT_IN, *_registered))


def is_known(kind: str) -> bool:
    """Whether it can be chosen, or is the kind that tests and demonstrations have."""
    return kind in (*kinds(), Kind.MEMORY)


def check_kind(kind: str) -> StorageKind:
    """The same kind. Raises BadInput for one that cannot be chosen."""
    if is_known(kind):
        return kind
    raise _unknown(kind)


def technology(kind: StorageKind) -> Technology:
    """Raises BadInput for a kind that no host has."""
    if kind in _registered:
        return _registered[kind]
    if kind not in _BUILT_IN:
        raise _unknown(kind)
    found: Technology = import_module(_BUILT_IN[kind]).TECHNOLOGY
    return found


def technologies() -> tuple[Technology, ...]:
    """All of them, in the same order."""
    return tuple(technology(kind) for kind in kinds())


def _unknown(kind: str) -> BadInput:
    text = N_("There is no storage {kind!r}.")
    return BadInput(text, "Choose {those}.", kind=kind, those=", ".join(kinds()))
