"""`python -m lab run CMD` and `python -m lab shell`."""

import argparse
import sys

from lab.command import lab_run
from lab.shell import lab_shell

_EPILOG = """\
environment:
  LAB_TIMEOUT     seconds at most for `run` (900)
  LAB_DISK        FILE that keeps the disk behind vg_class from one run to the next
  LAB_MEMORY_MIB  the lab's memory (6144)
  LAB_VCPUS       its processors (2)
  LAB_GUESTS      kvm: guests under KVM on the emulated processor: quick, and not always sound
  LAB_DEBUG       set: keep the logs always, say how long the boot's stages took
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
    return lab_run(arguments.command) if arguments.verb == "run" else lab_shell()


if __name__ == "__main__":
    sys.exit(main())
