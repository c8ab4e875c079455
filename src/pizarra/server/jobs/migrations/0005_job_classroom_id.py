"""A job is about one classroom and about none that has its name later."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Jobs of before are about whichever classroom has the name."""

    dependencies = [("jobs", "0004_arguments_of_the_table")]

    operations = [
        migrations.AddField(
            model_name="job",
            name="classroom_id",
            field=models.CharField(blank=True, default="", max_length=36),
            preserve_default=False,
        ),
    ]
