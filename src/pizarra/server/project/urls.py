"""All addresses. Pages have theirs in ``pages/urls.py``."""

from __future__ import annotations

from typing import Any

from django.urls import include, path

from pizarra.server.project import health

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("", include("pizarra.server.pages.urls")),
]
websocket_urlpatterns: list[Any] = []
