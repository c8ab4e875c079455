"""The health of the server, for programs that watch it."""

from __future__ import annotations

from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from pizarra import __version__
from pizarra.errors import PizarraError
from pizarra.server.hosts import host
from pizarra.server.jobs.models import Job, State
from pizarra.server.permissions import Rule, rule


@rule(Rule.ANYBODY)
def metrics(request: HttpRequest) -> HttpResponse:
    """Metrics for Prometheus, for this machine only. A proxy must not pass them on."""
    is_passed_on = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    if is_passed_on or request.META.get("REMOTE_ADDR") not in ("127.0.0.1", "::1"):
        return HttpResponse(status=403)
    registry = CollectorRegistry()
    for name, what, values in _gauges():
        gauge = Gauge(f"pizarra_{name}", what, sorted({k for labels, _ in values for k in labels}),
                      registry=registry)  # fmt: skip
        for labels, value in values:
            (gauge.labels(**labels) if labels else gauge).set(value)
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


_Values = list[tuple[dict[str, str], float]]


def _gauges() -> list[tuple[str, str, _Values]]:
    states: _Values = [
        ({"state": str(state)}, Job.objects.filter(state=state).count()) for state in State
    ]
    found = [("jobs", "Jobs, by state.", states)]
    try:
        rooms, pools = host().query("classroom list"), host().query("pools")
    except PizarraError:
        return [*found, ("worker_up", "Whether the agent answers.", [({}, 0)])]
    seats: _Values = [({"classroom": one["classroom"]}, len(one["seats"])) for one in rooms]
    running: _Values = [({"classroom": one["classroom"]}, one["running"]) for one in rooms]
    free: _Values = [({"pool": f"{p['place']}/{p['name']}"}, p["free_bytes"]) for p in pools]
    size: _Values = [({"pool": f"{p['place']}/{p['name']}"}, p["size_bytes"]) for p in pools]
    return [
        *found,
        ("worker_up", "Whether the agent answers.", [({}, 1)]),
        ("seats", "Seats of a classroom.", seats),
        ("seats_running", "Seats that run.", running),
        ("pool_free_bytes", "Free space.", free),
        ("pool_size_bytes", "All space.", size),
    ]


@rule(Rule.ANYBODY)
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when the database answers."""
    _ = request
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"status": "ok", "version": __version__})
