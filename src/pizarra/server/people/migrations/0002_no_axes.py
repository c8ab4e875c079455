"""Take away the tables of the library that counted guesses before: they have names and addresses."""

from django.db import migrations

_TABLES = ("axes_accessattemptexpiration", "axes_accessattempt", "axes_accesslog",
           "axes_accessfailurelog")  # fmt: skip


class Migration(migrations.Migration):
    dependencies = [("people", "0001_initial")]
    operations = [
        migrations.RunSQL([f"DROP TABLE IF EXISTS {name}" for name in _TABLES], migrations.RunSQL.noop)
    ]
