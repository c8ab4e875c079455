"""What every use case is handed: the host, and where to tell what happens."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pizarra.engine.events import Emit, Noted, silent
from pizarra.errors import Busy, HostNotFit
from pizarra.model.policy import ResetBy
from pizarra.model.sentence import N_
from pizarra.settings import Settings, read_settings
from pizarra.system.hangup import ignoring_hangup
from pizarra.system.identity import boot_identity, host_identity
from pizarra.system.locks import claiming

if TYPE_CHECKING:
    from pizarra.engine.host import Host


HOUSEKEEPING_S = 30.0  # that a command waits for the guard, which claims a seat for a moment
_HOUSEKEEPING = "housekeeping"  # whose claim says that the guard has claimed seats, or may
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
    is_housekeeping: bool = False  # claims for a moment, and waits for nobody

    @contextmanager
    def claim(
        self,
        names: Iterable[str],
        verb: str,
        *,
        shared: Iterable[str] = (),
        wait_s: float | None = None,
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
            if self.is_housekeeping:
                held.enter_context(self._claiming_housekeeping([_HOUSEKEEPING], ()))
                held.enter_context(its())
            else:
                self._claim_before_the_guard(held, its, self.wait_s if wait_s is None else wait_s)
            held.enter_context(ignoring_hangup())
            yield

    def for_housekeeping(self) -> Context:
        """The same for the guard's work: its claims give way, and nobody is refused for them."""
        return replace(self, wait_s=0, is_housekeeping=True)

    def _claim_before_the_guard(
        self, held: ExitStack, its: Callable[..., AbstractContextManager[None]], wait_s: float
    ) -> None:
        """Claim; what is busy once no guard can have it is claimed by somebody else."""
        try:
            held.enter_context(its())
        except Busy:
            try:
                with self._claiming_housekeeping((), [_HOUSEKEEPING]):
                    held.enter_context(its())
            except Busy as busy:
                if wait_s <= 0:
                    raise
                with self.while_waiting():
                    self.emit(Noted(text=N_("It waits: {why}"), facts={"why": busy}))
                    held.enter_context(its(wait_s=wait_s))

    def _claiming_housekeeping(
        self, alone: Iterable[str], shared: Iterable[str]
    ) -> AbstractContextManager[None]:
        """Alone for the guard, who holds it while it holds seats; shared for who waits for it."""
        folder = self.host.settings.lock_folder
        return claiming(alone, N_("guard"), shared=shared, folder=folder, wait_s=HOUSEKEEPING_S)


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
    host = Host(settings, compute, RealStorages(settings), host_identity(), boot_identity())
    return Context(host, emit, wait_s)
