"""Templates, and the images that become one: uploaded in pieces, then imported by a job."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from ninja import Router
from ninja.responses import Status

from pizarra.errors import BadInput
from pizarra.model.names import check_name
from pizarra.server import host_client, uploads
from pizarra.server.api import shapes
from pizarra.server.api.callers import rule, user_of
from pizarra.server.jobs.models import Job
from pizarra.server.jobs.queue import enqueue
from pizarra.server.people.models import Scope
from pizarra.server.permissions import Rule

router = Router()


def _upload(request: HttpRequest, upload_id: UUID) -> uploads.Upload:
    return uploads.find(settings.PIZARRA.server_folder, upload_id, user_of(request).pk)


@router.get("/templates", response=list[dict[str, Any]])
@rule(Rule.STAFF)
def templates(request: HttpRequest) -> list[dict[str, Any]]:
    """Every version of every template."""
    _ = request
    found: list[dict[str, Any]] = host_client.query("templates")
    return found


@router.post("/templates", response={202: shapes.JobOut})
@rule(Rule.TECHNICIAN, Scope.MANAGE)
def template_import(request: HttpRequest, wish: shapes.TemplateIn) -> Status[Job]:
    """Make a template of an upload that is whole; the upload goes with it."""
    check_name(wish.template, "template")
    if not (upload := _upload(request, wish.upload)).whole:
        raise BadInput(
            "{received} of {size_bytes} bytes of this upload are here.",
            "Send the rest first.",
            received=upload.received,
            size_bytes=upload.size_bytes,
        )
    arguments = wish.model_dump(mode="json")
    job = enqueue(user_of(request), "template import", arguments, request=request)
    return Status(202, job)


@router.post("/uploads", response={201: shapes.UploadOut})
@rule(Rule.TECHNICIAN, Scope.MANAGE)
def upload_begin(request: HttpRequest, wish: shapes.UploadIn) -> Status[uploads.Upload]:
    """Room for an image; its pieces come next."""
    folder = settings.PIZARRA.server_folder
    return Status(201, uploads.begin(folder, user_of(request).pk, wish.size_bytes))


@router.get("/uploads/{uuid:upload_id}", response=shapes.UploadOut)
@rule(Rule.TECHNICIAN, Scope.MANAGE)
def upload_show(request: HttpRequest, upload_id: UUID) -> uploads.Upload:
    """How far it is."""
    return _upload(request, upload_id)


@router.put("/uploads/{uuid:upload_id}", response=shapes.UploadOut)
@rule(Rule.TECHNICIAN, Scope.MANAGE)
def upload_add(request: HttpRequest, upload_id: UUID, offset: int) -> uploads.Upload:
    """The body is the next piece, of `piece_bytes` at most, from the offset on."""
    upload = _upload(request, upload_id)
    uploads.add(upload, offset, request)  # type: ignore[arg-type]  # it reads as a file
    return upload


@router.delete("/uploads/{uuid:upload_id}", response={204: None})
@rule(Rule.TECHNICIAN, Scope.MANAGE)
def upload_drop(request: HttpRequest, upload_id: UUID) -> Status[None]:
    """Nothing of it stays."""
    uploads.drop(_upload(request, upload_id))
    return Status(204, None)
