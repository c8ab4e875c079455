"""The time zone of this system, by the name that programs know it by."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_LOCALTIME = Path("/etc/localtime")  # localtime(5): a link into the folder of zones
_ZONES = "zoneinfo/"


def system_time_zone(link: Path = _LOCALTIME) -> str:
    """The name, such as Europe/Madrid; UTC where the system says none."""
    try:
        name = str(link.readlink()).rpartition(_ZONES)[2]
        return ZoneInfo(name).key
    except (OSError, ValueError, ZoneInfoNotFoundError):
        return "UTC"
