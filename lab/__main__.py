"""`python -m lab run CMD` and `python -m lab shell`."""

import argparse
import sys

from lab.command import run_in_lab
from lab.shell import open_lab_shell

_EPILOG = """\
environment:
  LAB_TIMEOUT     limit of `run` in seconds (900)
  LAB_DISK        FILE that keeps the disk behind vg_class from run to run
  LAB_MEMORY_MIB  the lab's memory (6144)
  LAB_VCPUS       its processors (2)
  LAB_GUESTS      kvm: run guests under KVM on the emulated processor (quick, not always sound)
  LAB_DEBUG       if set: keep the logs always, print how long each stage of the boot took
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="lab",
        description="A KVM host in a bottle: LVM, libvirt and this machine's files.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="boot, run CMD with bash as root, power off")
    run.add_argument("command", metavar="CMD")
    verbs.add_parser("shell", help="boot and give a terminal")
    arguments = parser.parse_args()
    return run_in_lab(arguments.command) if arguments.verb == "run" else open_lab_shell()


if __name__ == "__main__":
    sys.exit(main())
