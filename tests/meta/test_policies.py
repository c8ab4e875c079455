"""The page about a classroom's file describes what the code checks."""

from __future__ import annotations

import yaml

from pizarra.service.apply import Declared
from tests.meta.classroom_file import FILE, render


def test_policies_page_when_read_then_is_the_table_that_checks_files() -> None:
    assert FILE.read_text(encoding="utf-8") == render(), "python -m tests.meta.classroom_file"


def test_policies_page_when_its_example_is_read_then_it_is_a_classroom() -> None:
    example = render().split("```yaml\n")[1].split("```")[0]
    assert Declared.model_validate(yaml.safe_load(example)).minutes == 50
