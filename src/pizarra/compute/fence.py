"""The firewall between seats, and between a seat and its host.

An isolated bridge port stops frames from seat to seat, but not packets. On a host that forwards
IPv4 a student can send a packet to another seat by way of the host. libvirt switches forwarding on
for any nat network, and its own rules accept what comes from and goes to the same bridge. libvirt
does not keep a seat from the other services of its host either.

A table of our own closes both ways. In nftables a drop is final, whatever other tables accept.
"""

from __future__ import annotations

import sys

from pizarra.compute.network_xml import BRIDGE_PREFIX
from pizarra.system.process import run

# "table, delete table, table" replaces the table in one transaction, whether it existed or not.
FENCE_RULES = f"""\
table inet pizarra
delete table inet pizarra
table inet pizarra {{
    chain forward {{
        type filter hook forward priority -10; policy accept;
        iifname "{BRIDGE_PREFIX}*" oifname "{BRIDGE_PREFIX}*" drop
    }}
    chain input {{
        type filter hook input priority -10; policy accept;
        iifname != "{BRIDGE_PREFIX}*" accept
        ct state established,related accept
        udp dport {{ 53, 67 }} accept
        tcp dport 53 accept
        icmp type echo-request accept
        drop
    }}
}}
"""


def raise_fence() -> None:
    """Put the rules in force on this host; safe to repeat. Raises CommandFailed, HostNotFit."""
    run(["nft", "-f", "-"], input_text=FENCE_RULES)


if __name__ == "__main__":  # for the unit that raises the fence before libvirtd starts
    sys.stdout.write(FENCE_RULES)
