"""The firewall rules that libvirt makes for each network that runs: DHCP, DNS, NAT.

Somebody runs ``nft flush ruleset``, or restarts a firewall, and takes these rules away. libvirt
makes its chains once in the life of its daemon (networkSetupPrivateChains in
src/network/bridge_driver_linux.c). So no further network starts then, and a reload by SIGHUP
changes nothing: seen with 9.0. A daemon that starts makes the chains and the rules of all networks
anew. Machines go on meanwhile.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Sequence

from pizarra.errors import RulesGone
from pizarra.system.process import run

# the daemon of networks where libvirt has one for each driver, else the one of all
_RESTART = tuple(
    ("systemctl", "try-restart", unit) for unit in ("virtnetworkd.service", "libvirtd.service")
)
_RESTART_S = 120.0


class LibvirtRules:
    """Those of this host; with a ``prefix``, those where the command leads (nsenter).

    ``restart`` are the commands that restart libvirt's daemon.
    """

    def __init__(
        self, prefix: Iterable[str] = (), restart: Sequence[Sequence[str]] = _RESTART
    ) -> None:
        self._prefix, self._restart = tuple(prefix), restart
        self._lock = threading.Lock()  # thirty starts find the same, and one mends it

    def bridges_without(self, bridges: Iterable[str]) -> tuple[str, ...]:
        """Those of the bridges that no rule names. Raises CommandFailed, HostNotFit."""
        left = sorted(bridges)
        for question in (("nft", "list", "ruleset"), ("iptables-save",)):  # legacy iptables too
            if left:
                said = run([*self._prefix, *question], check=False).stdout
                left = [one for one in left if not _names(one).search(said)]
        return tuple(left)

    def renew(self, bridges: Iterable[str]) -> None:
        """Restart libvirt's daemon, if rules of these bridges are gone. Raises RulesGone, when it
        did not help; CommandFailed, CommandTimedOut, HostNotFit."""
        with self._lock:
            bridges = tuple(bridges)
            if not self.bridges_without(bridges):
                return
            self.restart()
            if left := self.bridges_without(bridges):
                raise RulesGone(
                    "libvirt has no firewall rules for {bridges}: seats there may get no address.",
                    "Restart libvirt, which makes its rules anew: systemctl restart libvirtd",
                    bridges=", ".join(left),
                )

    def restart(self) -> None:
        """Restart libvirt's daemon; machines go on. Raises CommandTimedOut, HostNotFit."""
        for command in self._restart:
            run(command, timeout_s=_RESTART_S, check=False)  # only one of the units is there


def _names(bridge: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.*-]){re.escape(bridge)}(?![\w.*-])")
