"""Times are in the zone of the system, unless a setting says another."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from pizarra.server.project.time_zone import system_time_zone
from pizarra.settings import Settings


@pytest.mark.parametrize(
    ("target", "zone"),
    [
        ("/usr/share/zoneinfo/Europe/Madrid", "Europe/Madrid"),
        ("../usr/share/zoneinfo/Etc/UTC", "Etc/UTC"),
        ("/usr/share/zoneinfo/Mars/Base", "UTC"),
        ("/somewhere/else", "UTC"),
    ],
)
def test_zone_when_the_system_has_one_then_it_is_that(
    target: str, zone: str, tmp_path: Path
) -> None:
    link = tmp_path / "localtime"
    link.symlink_to(target)
    assert system_time_zone(link) == zone


def test_zone_when_the_system_has_none_then_utc(tmp_path: Path) -> None:
    assert system_time_zone(tmp_path / "localtime") == "UTC"
    (tmp_path / "copied").write_bytes(b"TZif2")
    assert system_time_zone(tmp_path / "copied") == "UTC"


def test_setting_when_it_is_no_zone_then_refused() -> None:
    assert Settings(server_time_zone="Europe/Madrid").server_time_zone == "Europe/Madrid"
    for wrong in ("Mars/Base", "../etc/passwd", "/etc/localtime"):
        with pytest.raises(ValidationError, match="is no time zone"):
            Settings(server_time_zone=wrong)
