"""All addresses. Pages have theirs in ``pages/urls.py``, the API in ``api/operations.py``."""

from __future__ import annotations

from typing import Any

from django.urls import include, path

from pizarra.server.api.operations import api
from pizarra.server.consoles.relay import Console
from pizarra.server.project import health

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("metrics", health.metrics, name="metrics"),
    path("api/v1/", api.urls),
    path("", include("pizarra.server.pages.urls")),
]
websocket_urlpatterns: list[Any] = [path("console/<str:ticket>", Console.as_asgi())]
