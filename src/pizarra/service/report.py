"""report: one file that a person can send to whoever helps, and that holds no secret."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pizarra import __version__
from pizarra.errors import BadInput, PizarraError
from pizarra.service.commands import table
from pizarra.settings import Settings
from pizarra.system.flight import flights
from pizarra.system.process import run

_COMMANDS = {
    "uname": ["uname", "-a"],
    "os-release": ["cat", "/etc/os-release"],
    "lvm-version": ["lvm", "version"],
    "lvs": ["lvs", "-a", "-o", "+lv_uuid,thin_id,lv_tags,lv_health_status"],
    "vgs": ["vgs", "-o", "+vg_uuid,vg_mda_free"],
    "dmsetup-table": ["dmsetup", "table"],
    "dmsetup-status": ["dmsetup", "status"],
    "dmsetup-info": ["dmsetup", "info", "-c"],
    "virsh-list": ["virsh", "list", "--all"],
    "virsh-version": ["virsh", "version"],
    "virsh-networks": ["virsh", "net-list", "--all"],
    "dmesg": ["dmesg"],
    # also of hours ago, when the kernel's own buffer has no more of it
    "dmesg-dm": [
        *("journalctl", "-q", "-k", "--no-pager", "-n", "1000"),
        *("--grep", "device-mapper|dm-[0-9]|Buffer I/O|thin|blk_update"),
    ],
    "df": ["df", "-h"],
    "memory": ["free", "-m"],
    "systemctl-failed": ["systemctl", "--failed", "--no-pager"],
    "journal-pizarra": ["journalctl", "-q", "--no-pager", "-n", "2000", "-u", "pizarra*"],
    "journal-libvirt": [
        *("journalctl", "-q", "--no-pager", "-n", "1000"),
        *("-u", "libvirtd", "-u", "virtqemud", "-u", "virtnetworkd"),
    ],
    "versions-thin": ["thin_delta", "-V"],
    "versions-qemu": ["qemu-system-x86_64", "--version"],
    "versions-nft": ["nft", "--version"],
    "versions-dnsmasq": ["dnsmasq", "--version"],
    "versions-packages": [
        *("dpkg-query", "-W", "pizarra", "libvirt*", "qemu*", "lvm2", "thin-provisioning-tools"),
        *("dnsmasq*", "nftables", "iptables", "linux-image*", "systemd", "python3"),
    ],
}
_EACH_S = 20
# what a person would not send to others. A group "keep" stays: it says what was left out
_WORDS = r"passw(?:or)?d|passphrase|passwd|secret|token|api[-_]?key|psk|sessionid|csrftoken"
_VALUE = r"""(?!\[left out\])(?:"(?:\\.|[^"\\\n])*"|'[^'\n]*'|[^\s,;}]+)"""
_LINE_MOST = 4096  # characters: others write lines too, and a pattern may look at each place of one
_SECRETS = tuple(
    re.compile(one, re.I)
    for one in (
        r"(?P<keep>://[^:/@\s]*:)[^@\s]+(?=@)",  # of an address
        rf"(?P<keep>(?:{_WORDS})[\w-]*[\"']?\s*[=:]\s*){_VALUE}",
        rf"(?P<keep>(?<!\S)--?[\w-]*(?:{_WORDS})[\w-]*[= ]+)(?!-){_VALUE}",  # an option
        r"(?P<keep>://[^%/@\s]*%)[^@\s]+(?=@)",  # of iSCSI
        r"(?P<keep>\bbearer\s+)[\w.~+/=-]{6,}",
        r"(?P<keep>\b(?:token|psk)\s+)[\w.~+/=-]{16,}",
        r"(?P<keep>(?<!\S)-u\s+[^\s:]+:)\S+",  # of curl
        r"(?P<keep>\bsshpass\s+-p\s*)\S+",
        r"(?P<keep>)\bAQ[\w+/]{30,}==",  # of Ceph
        r"(?P<keep>/console/)[\w.:=-]{16,}",  # a ticket of ours
        r"(?P<keep>\b(?:proxy-)?authorization:\s*)[^\r\n]+",
        r"(?P<keep>\b(?:set-)?cookie:\s*)[^\r\n]+",
        r"(?P<keep>(?:__host-|__secure-)?\bpizarra=)[\w.-]{8,}",  # our session
        r"(?P<keep>)\bpiz_[\w-]{8,}",  # our tokens
        r"(?P<keep>)\$(?:\d\w?|y|gy|sha1|md5|argon2\w*)\$[\w./$=,+-]{8,}",  # crypt(5)
        r"(?P<keep>)-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*-----|\Z)",
    )
)


def remove_secrets(text: str) -> str:
    """The text without what looks like a secret. Lines are cut where they are too long to read."""
    text = "\n".join(line[:_LINE_MOST] for line in text.split("\n"))
    for one in _SECRETS:
        text = one.sub(r"\g<keep>[left out]", text)
    return text


def report(settings: Settings, target: Path, told: Callable[[str], None]) -> Path:
    """Write the bundle. The error of a command takes the place of its output. Raises BadInput."""
    parts = {"pizarra.txt": _own(settings)}
    parts["commands.json"] = json.dumps(table.to_json(), indent=1)
    for name, argv in _COMMANDS.items():
        told(name)
        parts[f"{name}.txt"] = _answer(argv)
    for flight in flights(settings.flight_folder):
        parts[f"flights/{flight.name}.txt"] = flight.read_text("utf-8", errors="replace")
    try:
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as bundle:
            for name, text in parts.items():
                _add(bundle, f"pizarra-report/{name}", remove_secrets(text))
    except FileExistsError:
        raise BadInput(
            "{path} is there already.", "Name another file with --output.", path=target
        ) from None
    except OSError as error:
        raise BadInput(
            "{path} cannot be written: {why}.", "Name another file with --output.",
            path=target, why=error.strerror,
        ) from None  # fmt: skip
    return target


def default_target() -> Path:
    """The usual name: ``pizarra-report-20261126-160300.tar.gz`` in the working folder."""
    return Path(f"pizarra-report-{datetime.now(UTC):%Y%m%d-%H%M%S}.tar.gz")


def _own(settings: Settings) -> str:
    """The version and the settings. Pydantic shows a secret as stars."""
    lines = [f"pizarra {__version__}", f"made {datetime.now(UTC).isoformat(timespec='seconds')}"]
    return "\n".join([*lines, *(f"{name} = {value}" for name, value in settings)]) + "\n"


def _answer(argv: list[str]) -> str:
    try:
        done = run(argv, timeout_s=_EACH_S, check=False)
    except PizarraError as error:
        return f"$ {' '.join(argv)}\n{error}\n"
    return f"$ {' '.join(argv)}\n{done.stdout}{done.stderr}"


def _add(bundle: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode(errors="replace")
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o600
    bundle.addfile(entry, io.BytesIO(data))
