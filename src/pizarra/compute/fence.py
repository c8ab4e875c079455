"""The firewall between seats, and between a seat and its host.

An isolated bridge port stops frames from seat to seat, but not packets: on a host that forwards
IPv4 (libvirt switches that on for any nat network) a student can send to another seat by way of
the host, and libvirt's own rules accept what comes from and goes to the same bridge. Nor does
libvirt keep a seat from the other services of its host. A table of our own does both; in
nftables a drop is final, whatever other tables accept.
"""

from __future__ import annotations

import sys

from pizarra.compute.network_xml import BRIDGE_PREFIX
from pizarra.system.process import run

# "table, delete table, table" replaces the table in one transaction, whether it was there or not.
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
    """Put the rules in force on this host; safe to repeat. CommandFailed, HostNotFit."""
    run(["nft", "-f", "-"], input_text=FENCE_RULES)


if __name__ == "__main__":  # for the unit that raises the fence before libvirtd starts
    sys.stdout.write(FENCE_RULES)
