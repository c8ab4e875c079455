"""What may not be on a host after Pizarra worked there: failed units, denials, errors."""

from __future__ import annotations

import re

from lab.host.machine import RunningHost

_CURSOR = "/run/lab-journal"
# Seen on hosts without Pizarra too, or known and harmless: docs/reliability.md says why
_HARMLESS = (
    # a virtual machine has no such things
    *(
        "regulatory",
        "wiki.debian.org/Firmware",
        "powernow_k8",
        "sev command",
        "RAS: ",
        "i8042",
        "RETBleed",
        "Spectre",
        "SRSO",
        "TSA:",
    ),
    # QEMU asks for a disk's zones, and swtpm for its openssl settings; both go on without
    r'apparmor="DENIED".*queue/zoned',
    r'apparmor="DENIED".*openssl\.cnf',
    # libvirt's own probes at its start
    "Unable to open /dev/kvm",
    "Failed to probe capabilities",
    "internal error: Failed to get udev device for syspath",
    # udev looks at a device in the moment in which its table is the error target
    r"Buffer I/O error on dev dm-\d+",
    # a machine that is switched off drops its monitor
    "Unable to read from monitor: Connection reset by peer",
)


def mark_journal(host: RunningHost) -> None:
    """What is in the journal by now was not us."""
    host.shell.run(f"journalctl -n 0 --show-cursor | sed -n 's/^-- cursor: //p' >{_CURSOR}")


def problems(host: RunningHost) -> list[str]:
    """One line a problem since the mark, or since the boot where there is none. What our own units
    say counts since the boot."""
    since = f'$([ -s {_CURSOR} ] && echo --after-cursor="$(cat {_CURSOR})" || echo -b)'
    failed = _lines(host, "systemctl --failed --no-legend --plain")
    denied = _lines(host, f"journalctl {since} -q -o cat --grep 'apparmor=.DENIED.'")
    errors = _lines(host, f"journalctl {since} -q -o short -p err")
    ours = _lines(host, "journalctl -b -q -o short -p err -u 'pizarra*'")
    return [f"failed unit: {one}" for one in failed] + [
        one for one in dict.fromkeys(denied + errors + ours) if not _is_harmless(one)
    ]


def _is_harmless(line: str) -> bool:
    return any(re.search(pattern, line) for pattern in _HARMLESS)


def _lines(host: RunningHost, command: str) -> list[str]:
    told = host.shell.run(command, 120).stdout.decode(errors="replace")
    return [line for line in told.splitlines() if line.strip()]
