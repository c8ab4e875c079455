"""Every verb once on each kind of storage, on a host with Pizarra installed; then a reboot."""

from __future__ import annotations

import json

import pytest

from lab.host.machine import RunningHost
from tests.debian.health import mark_journal, problems

_SLOW_S = 900.0
# {k} is a kind of storage; `-` before a command: that kind has no such thing, and says so
_ALWAYS = """\
pizarra template import t-{k} /root/guest.img --storage {k}
pizarra template list
pizarra template show t-{k}
pizarra classroom create c-{k} --template t-{k} --seats 2 --memory 64M --storage {k}
pizarra classroom list
pizarra classroom show c-{k}
pizarra start c-{k}
pizarra status c-{k}
pizarra freeze c-{k} --message 'Look at me'
pizarra unfreeze c-{k}
pizarra inspect c-{k}-01
pizarra stop c-{k} --grace 0
pizarra reset c-{k} --off
pizarra verify c-{k}
"""
_NEXT_VERSION = """\
pizarra template maintain t-{k} --memory 64M --network none
pizarra template discard t-{k} --yes
pizarra template maintain t-{k} --memory 64M --network none
virsh -q destroy $(virsh -q list --name | grep ^t-{k})
pizarra template publish t-{k}
pizarra classroom upgrade c-{k} --yes
pizarra reset c-{k} --off
pizarra verify c-{k} --deep
pizarra template prune t-{k} --yes
pizarra template export t-{k} /root/export-{k}
pizarra template import again-{k} /root/export-{k} --storage {k}
pizarra template delete again-{k} --yes
"""
_WITH_UNDO = """\
pizarra start c-{k}
pizarra stop c-{k} --grace 0
pizarra checkpoint save c-{k} one
pizarra checkpoint list c-{k}
pizarra reset c-{k} --off
pizarra undo c-{k}
pizarra checkpoint restore c-{k} one
pizarra checkpoint hand-out c-{k} one --from 1
pizarra verify c-{k}
pizarra checkpoint export c-{k} one /root/one-{k} --from 1
pizarra checkpoint delete c-{k} one --yes
pizarra classroom warm c-{k} --settle 20 --yes
pizarra reset c-{k} --mode warm --start
pizarra stop c-{k} --grace 0
"""
_WITH_DATA = """\
pizarra template import d-{k} /root/guest.img --data 16M --storage {k}
pizarra classroom create e-{k} --template d-{k} --seats 2 --memory 64M --storage {k}
pizarra classroom swap-data e-{k} 1 2
pizarra reset e-{k} --off
pizarra classroom delete e-{k} --yes --with-data
pizarra template delete d-{k} --yes
"""
_AT_LAST = """\
pizarra classroom resize c-{k} --seats 3 --yes
printf 'classroom: c-{k}\ntemplate: t-{k}\nseats: 3\nmemory: 64M\n' >c-{k}.yaml
pizarra classroom apply c-{k}.yaml --dry-run
pizarra guard
pizarra commands --json
pizarra recover
pizarra report --output /root/report-{k}.tar.gz
pizarra backup /root/backup-{k}
systemctl stop pizarra
pizarra restore /root/backup-{k}
pizarra recover
pizarra reset c-{k} --start
"""
_FIT = """\
pizarra host check --fix
pizarra host check --json
"""
_CLEARED = """\
pizarra classroom delete c-{k} --yes
pizarra template delete t-{k} --yes
"""


def follow(host: RunningHost, script: str, kind: str) -> None:
    """Each command succeeds; what it says is in the failure's words."""
    for command in script.format(k=kind).splitlines():
        done = host.shell.run(f"cd /root && {{ {command}; }} 2>&1", _SLOW_S)
        assert done.returncode == 0, f"{command}: {done.stdout.decode(errors='replace')[-3000:]}"


def seats(host: RunningHost, command: str) -> dict[str, str]:
    """Each seat of the answer and its outcome."""
    done = host.shell.run(f"{command} --json", _SLOW_S)
    answer = json.loads(done.stdout)
    return {seat["seat"]: seat["outcome"] for seat in answer["seats"]}


def test_host_check_when_installed_then_fit_after_fix(host: RunningHost) -> None:
    follow(host, _FIT, "")
    assert problems(host) == []


def test_fence_when_nftables_is_restarted_then_its_rules_are_back(host: RunningHost) -> None:
    for verb in ("start", "restart", "reload"):
        tables = "nft list table inet pizarra && nft list table bridge pizarra"
        done = host.shell.run(f"systemctl {verb} nftables && {tables}", _SLOW_S)
        assert done.returncode == 0, done.stderr.decode()
        assert b"chain forward" in done.stdout
        guarded = "systemctl show -P ExecMainStartTimestamp pizarra-guard"
        assert host.shell.run(guarded).stdout.strip(), "it puts the addresses of seats into them"


@pytest.mark.parametrize("kind", ["lvm-thin", "lvm-thick", "qcow2"])
def test_verbs_when_each_is_used_once_then_all_succeed(host: RunningHost, kind: str) -> None:
    follow(host, _ALWAYS, kind)
    follow(host, _NEXT_VERSION, kind)
    follow(host, _WITH_DATA, kind)
    if kind != "lvm-thick":  # it has neither undo nor checkpoints
        follow(host, _WITH_UNDO, kind)
    follow(host, _AT_LAST, kind)
    assert problems(host) == []


# the command is killed with the host, in its work
_CUT = """\
pizarra start c-lvm-thin
(setsid pizarra reset c-lvm-thin --off >/dev/null 2>&1 </dev/null &)
until [ -n "$(ls /var/lib/pizarra/journal 2>/dev/null)" ]; do sleep 0.01; done
"""


def test_power_when_cut_in_a_rewind_then_recovered_at_boot_and_proven(host: RunningHost) -> None:
    assert host.shell.run(_CUT, _SLOW_S).returncode == 0
    assert host.cut_and_boot() == "running"
    mark_journal(host)
    recovered = host.shell.run("systemctl show -P Result pizarra-recover.service").stdout
    assert recovered.decode().strip() == "success"
    assert host.shell.run("ls -A /var/lib/pizarra/journal").stdout == b""
    assert set(seats(host, "pizarra verify c-lvm-thin").values()) <= {"done", "unchanged"}
    assert problems(host) == []


def test_reboot_when_classes_ran_then_recovered_and_still_original(host: RunningHost) -> None:
    assert host.reboot() == "running"
    mark_journal(host)
    recovered = host.shell.run("systemctl show -P Result pizarra-recover.service").stdout
    assert recovered.decode().strip() == "success"
    for kind in ("lvm-thin", "lvm-thick", "qcow2"):
        assert set(seats(host, f"pizarra reset c-{kind} --start").values()) == {"done"}
        follow(host, _CLEARED, kind)
    assert problems(host) == []
