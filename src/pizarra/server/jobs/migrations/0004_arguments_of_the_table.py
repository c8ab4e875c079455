from typing import Any

from django.db import migrations


def convert(apps: Any, schema_editor: Any) -> None:
    """Jobs that wait name their seats as text, as the table of commands has it."""
    for job in apps.get_model("jobs", "Job").objects.filter(state__in=("queued", "running")):
        given = {name: value for name, value in job.arguments.items() if value is not None}
        numbers = given.pop("numbers", None)
        given.pop("key", None)
        if numbers is not None:
            given["seats"] = ",".join(map(str, numbers))
        job.arguments = given
        job.save(update_fields=["arguments"])


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0003_one_job_a_wish'),
    ]

    operations = [
        migrations.RunPython(convert, migrations.RunPython.noop),
    ]
