"""What files and programs in a guest say of it, when a student has written them."""

from __future__ import annotations

import subprocess
import sys

from pizarra.planner import identity_files

# the whole agent stands still meanwhile: a search of Python's gives no other thread a turn
_SEARCH = """
from pizarra.planner.identity_files import hosts
old = "a " * 260_000 + "b"
print(hosts("a " * 520_000, old, "net-02").splitlines()[-1])
"""
_CPU_S = 30


def test_hosts_when_the_old_name_is_made_to_take_hours_then_it_is_no_name() -> None:
    argv = ["prlimit", f"--cpu={_CPU_S}", sys.executable, "-c", _SEARCH]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "127.0.1.1 net-02\n")


def test_passwd_when_a_number_is_none_then_its_line_counts_for_nothing() -> None:
    big = "9" * 5000
    passwd = (
        f"root:x:0:0::/root:/bin/sh\nodd:x:\xb2:0::/:\nbig:x:{big}:0::/:\nana:x:1000:1000::/:\n"
    )
    assert identity_files.user_id(passwd, "eva") == (1001, True)
    assert identity_files.user_id(passwd, "ana") == (1000, False)
