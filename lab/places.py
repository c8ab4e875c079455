"""Where the lab keeps its things, and the one error it raises."""

from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
BUILD = REPO / "build"
CACHE = BUILD / "lab"
CAPABILITIES = CACHE / "libvirt-capabilities"
LOGS = BUILD / "lab-logs"
OUT = BUILD / "lab-out"
GUEST = REPO / "lab" / "guest"


class LabError(Exception):
    """The lab itself failed, not what ran in it; the text says what to do next."""
