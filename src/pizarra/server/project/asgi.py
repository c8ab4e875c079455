"""The application that uvicorn runs: pages, API and console sockets, behind the gate."""

from __future__ import annotations

import os
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pizarra.server.project.settings")
_pages = get_asgi_application()  # sets Django up; what follows needs that

from pizarra.server.gate.requests import Gate  # noqa: E402
from pizarra.server.project.urls import websocket_urlpatterns  # noqa: E402
from pizarra.server.streams import watch_changes  # noqa: E402

watch_changes()

_sockets = AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))
application: Any = Gate(ProtocolTypeRouter({"http": _pages, "websocket": _sockets}))
