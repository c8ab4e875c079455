"""The pages about formats name every setting and every key that the code reads and writes."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pizarra.engine.journal import Record, SeatEntry, VolumeEntry
from pizarra.model.classroom_record import ClassroomRecord
from pizarra.model.labels import (
    CheckpointLabels,
    InspectionLabels,
    MaintenanceLabels,
    Role,
    SeatLabels,
    TemplateLabels,
)
from pizarra.service.backup.manifest import FileEntry
from pizarra.service.backup.manifest import Manifest as BackupManifest
from pizarra.service.export import Manifest
from pizarra.service.views import View
from pizarra.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
# fields that hold what the pages name by the keys on disk
NOT_KEYS = {"record", "policy"}


def words_of(page: str, section: str) -> set[str]:
    """The words in code spans of one section of a page."""
    text = (DOCS / page).read_text(encoding="utf-8").split(f"\n## {section}\n")[1]
    text = re.sub(r"^```.*?^```", "", text.split("\n## ")[0], flags=re.S | re.M)
    return {word for span in re.findall(r"`([^`]+)`", text) for word in re.findall(r"\w+", span)}


def names_of(*types: Any) -> set[str]:
    """The names of all fields of dataclasses."""
    return {field.name for one in types for field in fields(one)} - NOT_KEYS


@pytest.mark.parametrize(
    ("page", "section", "names"),
    [
        ("formats.md", "Settings", set(Settings.model_fields)),
        ("formats.md", "Export manifest", set(Manifest.model_fields)),
        ("formats.md", "Backup", {*BackupManifest.model_fields, *FileEntry.model_fields}),
        ("formats.md", "Views", names_of(View)),
        ("formats.md", "Labels and records of classrooms", {str(role) for role in Role}),
        (
            "formats-labels.md",
            "Labels",
            names_of(
                TemplateLabels, MaintenanceLabels, SeatLabels, CheckpointLabels, InspectionLabels
            ),
        ),
        ("formats-labels.md", "Records of classrooms", names_of(ClassroomRecord)),
        (
            "formats-journal.md",
            "A record: `journal/NNNNNNNN-PID-RANDOM.json`",
            names_of(Record, SeatEntry, VolumeEntry),
        ),
    ],
)
def test_formats_page_when_code_has_a_key_then_its_section_names_it(
    page: str, section: str, names: set[str]
) -> None:
    assert names - words_of(page, section) == set()
