"""What every use case is handed: the host, and where to tell what happens."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pizarra.engine.events import Emit, Noted, silent
from pizarra.errors import Busy, HostNotFit
from pizarra.model.policy import ResetBy
from pizarra.model.sentence import N_
from pizarra.settings import Settings, read_settings
from pizarra.system.hangup import ignoring_hangup
from pizarra.system.identity import host_identity
from pizarra.system.locks import claiming

if TYPE_CHECKING:
    from pizarra.engine.host import Host


HOST = "host"  # a claim
_UMASK = 0o022  # QEMU's user enters our folders; what is secret has a mode of its own


@dataclass(frozen=True, slots=True)
class Context:
    """A host and a listener."""

    host: Host
    emit: Emit = silent
    wait_s: float = 0  # for others who work on the same seats
    by: ResetBy | None = None  # what whoever asks is to policies; None is root, who always may
    upload: int | None = None  # the descriptor of a file that came with the command
    while_waiting: Callable[[], AbstractContextManager[None]] = nullcontext
    classroom_id: str = ""  # of the classroom that is meant, or that a new one gets

    @contextmanager
    def claim(
        self, names: Iterable[str], verb: str, *, shared: Iterable[str] = (), wait_s: float = 0
    ) -> Iterator[None]:
        """Claim seats, classrooms or templates for a verb; see ``system.locks.claiming``. Whoever
        claims anything shares the host: who claims ``HOST`` alone knows that no verb is half-way.

        Whoever has claimed something finishes, also when the terminal closes meanwhile. Whoever
        must wait does so in ``while_waiting``.
        """
        names, shared = tuple(names), tuple(shared)
        shared = shared if HOST in names else (HOST, *shared)
        its = partial(claiming, names, verb, shared=shared, folder=self.host.settings.lock_folder)
        with ExitStack() as held:
            try:
                held.enter_context(its())
            except Busy as busy:
                if wait_s <= 0:
                    raise
                with self.while_waiting():
                    self.emit(Noted(text=N_("It waits: {why}"), facts={"why": busy}))
                    held.enter_context(its(wait_s=wait_s))
            held.enter_context(ignoring_hangup())
            yield


def context_here(
    emit: Emit = silent, settings: Settings | None = None, wait_s: float = 0
) -> Context:
    """This machine, by its settings."""
    if os.geteuid() != 0:
        raise HostNotFit(
            "Pizarra changes volumes and machines, and only root may.", "Run it with sudo."
        )
    # all drivers: only who works on a host needs them
    from pizarra.compute.libvirt_driver import LibvirtCompute
    from pizarra.engine.host import Host, RealStorages

    os.umask(_UMASK)
    settings = settings or read_settings()
    compute = LibvirtCompute(settings.libvirt_uri)
    host = Host(settings, compute, RealStorages(settings), host_identity())
    return Context(host, emit, wait_s)
