"""Names this application to Django."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Its tables begin with ``jobs_``."""

    name = "pizarra.server.jobs"
    label = "jobs"
    default_auto_field = "django.db.models.BigAutoField"
