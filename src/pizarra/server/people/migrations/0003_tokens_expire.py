"""Tokens of before had no end. They are good for as long as a new one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import migrations
from django.utils import timezone

_DAYS = 90


def give_end(apps: Any, schema_editor: Any) -> None:
    """The programs that use them go on, and their makers see the end on their page."""
    tokens = apps.get_model("people", "ApiToken").objects.filter(expires=None)
    tokens.update(expires=timezone.now() + timedelta(days=_DAYS))


class Migration(migrations.Migration):
    """Only content changes."""

    dependencies = [("people", "0002_no_axes")]

    operations = [migrations.RunPython(give_end, migrations.RunPython.noop)]
