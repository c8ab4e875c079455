"""Paths of the lab, and the one error that the lab raises."""

from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
BUILD = REPO / "build"
CACHE = BUILD / "lab"
CAPABILITIES = CACHE / "libvirt-capabilities"
LOGS = BUILD / "lab-logs"
OUT = BUILD / "lab-out"
GUEST = REPO / "lab" / "guest"


class LabError(Exception):
    """The lab itself failed, not the command in the lab. The text says what to do next."""
