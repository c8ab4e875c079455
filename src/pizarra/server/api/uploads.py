"""Images that a browser uploads in pieces. `template import` makes templates of them."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from ninja import Router
from ninja.responses import Status

from pizarra.server.api import shapes
from pizarra.server.api.callers import rule, user_of
from pizarra.server.people.models import Scope
from pizarra.server.permissions import Rule
from pizarra.service import uploads

router = Router()


def _upload(request: HttpRequest, upload_id: UUID) -> uploads.Upload:
    return uploads.find(settings.PIZARRA.pages_folder, upload_id, user_of(request).pk)


@router.post("/uploads", response={201: shapes.UploadOut})
@rule(Rule.TECHNICIAN, Scope.MANAGE)
def upload_begin(request: HttpRequest, wish: shapes.UploadIn) -> Status[uploads.Upload]:
    """Begin an upload."""
    folder = settings.PIZARRA.pages_folder
    return Status(201, uploads.begin(folder, user_of(request).pk, wish.size_bytes))


@router.get("/uploads/{uuid:upload_id}", response=shapes.UploadOut)
@rule(Rule.TECHNICIAN, Scope.MANAGE)
def upload_show(request: HttpRequest, upload_id: UUID) -> uploads.Upload:
    """The state of an upload."""
    return _upload(request, upload_id)


@router.put("/uploads/{uuid:upload_id}", response=shapes.UploadOut)
@rule(Rule.TECHNICIAN, Scope.MANAGE)
def upload_add(request: HttpRequest, upload_id: UUID, offset: int) -> uploads.Upload:
    """Add a piece. The body is written at the offset and has at most `piece_bytes`."""
    upload = _upload(request, upload_id)
    uploads.add(upload, offset, request)  # type: ignore[arg-type]  # it reads as a file
    return upload


@router.delete("/uploads/{uuid:upload_id}", response={204: None})
@rule(Rule.TECHNICIAN, Scope.MANAGE)
def upload_drop(request: HttpRequest, upload_id: UUID) -> Status[None]:
    """Delete an upload."""
    uploads.drop(_upload(request, upload_id))
    return Status(204, None)
