"""Names this application to Django."""

from django.apps import AppConfig


class PagesConfig(AppConfig):
    """Its tables begin with ``pages_``."""

    name = "pizarra.server.pages"
    label = "pages"
    default_auto_field = "django.db.models.BigAutoField"
