"""Whether we live, for whatever watches us."""

from __future__ import annotations

from django.db import connection
from django.http import HttpRequest, JsonResponse

from pizarra import __version__
from pizarra.server.permissions import Rule, rule


@rule(Rule.ANYBODY)
def healthz(request: HttpRequest) -> JsonResponse:
    """200 as long as the database answers."""
    _ = request
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"status": "ok", "version": __version__})
