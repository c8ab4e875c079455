"""Names this application to Django."""

from django.apps import AppConfig


class RoomsConfig(AppConfig):
    """Its tables begin with ``rooms_``."""

    name = "pizarra.server.rooms"
    label = "rooms"
    default_auto_field = "django.db.models.BigAutoField"
