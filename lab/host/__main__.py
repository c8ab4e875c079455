"""`python -m lab.host build SUITE` and `python -m lab.host run SUITE CMD`."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from lab.host.fresh import fresh_host
from lab.host.image import base_image
from lab.host.install import installed_image
from lab.host.machine import RunningHost
from lab.host.shell import SSH_BROKE
from lab.host.suite import Suite
from lab.places import LabError
from lab.session import LAB_BROKE, TIMED_OUT, exiting_on_signals, keep_logs, print_tail, run_folder

_EPILOG = """\
environment:
  LAB_TIMEOUT     seconds at most for CMD (900)
  LAB_DEBUG       set: keep the logs always
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="lab.host",
        description="A full Debian system as a KVM host, with the volume group vg0.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("build", help="make the system, boot it, say how it came up")
    run = verbs.add_parser("run", help="boot with Pizarra installed, run CMD with bash as root")
    for verb in (build, run):
        verb.add_argument("suite", metavar="SUITE", type=Suite, choices=list(Suite))
    run.add_argument("command", metavar="CMD")
    arguments = parser.parse_args()
    with exiting_on_signals(), run_folder() as folder:
        command = arguments.command if arguments.verb == "run" else ""
        status = _run(arguments.suite, command, folder)
        if status != 0 or os.environ.get("LAB_DEBUG"):
            keep_logs(folder)
        return status


def _run(suite: Suite, command: str, folder: Path) -> int:
    """The exit status of `command`; 124 at its deadline, 125 when the host itself fails. Without
    a command: how the freshly installed system comes up."""
    try:
        image = installed_image(suite, folder) if command else base_image(suite)
        with fresh_host(image, folder) as host:
            return _call(host, command) if command else _say_state(host)
    except LabError as error:
        print(f"host: {error}", file=sys.stderr)
        print_tail(folder)
        return LAB_BROKE


def _call(host: RunningHost, command: str) -> int:
    try:
        status = host.shell.call(command, float(os.environ.get("LAB_TIMEOUT") or 900))
    except subprocess.TimeoutExpired:
        print("host: stopped at its deadline (LAB_TIMEOUT)", file=sys.stderr)
        status = TIMED_OUT
    if status == SSH_BROKE and not host.is_running:
        raise LabError("the host went away while its command ran")
    if status != 0:
        host.keep_journal()
    return status


def _say_state(host: RunningHost) -> int:
    asked = "systemctl is-system-running; systemctl --failed --no-legend; aa-enabled; vgs; uname -r"
    done = host.shell.run(asked)
    print(done.stdout.decode(), end="", flush=True)
    host.keep_journal()
    return 0 if done.stdout.startswith(b"running") else 1


if __name__ == "__main__":
    sys.exit(main())
