"""A room is of one classroom and of none that has its name later."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Rooms of before are bound to what has their name now, at the first look at the host."""

    dependencies = [("rooms", "0003_message_seats")]

    operations = [
        migrations.AddField(
            model_name="room",
            name="classroom_id",
            field=models.CharField(blank=True, default="", max_length=36),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="room",
            name="generation",
            field=models.PositiveIntegerField(default=0),
        ),
    ]
