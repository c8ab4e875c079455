"""Names this application to Django."""

from django.apps import AppConfig


class PeopleConfig(AppConfig):
    """Its tables begin with ``people_``."""

    name = "pizarra.server.people"
    label = "people"
    default_auto_field = "django.db.models.BigAutoField"
