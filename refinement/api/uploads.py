"""A file that is sent in parts, and goes on where it stopped."""

from typing import Annotated, Any
from uuid import UUID

from django.http import HttpResponse
from ninja import Field, Router

from refinement.api.auth import READ, WRITE, Request, check_project, project_for
from refinement.api.bodies import ANY_BYTES, length_of
from refinement.api.once import HEADER, once
from refinement.api.problems import Refused
from refinement.api.schemas import common as c
from refinement.api.schemas import datasets as s
from refinement.models import Upload
from refinement.selectors import access
from refinement.selectors.datasets import own_upload
from refinement.services import chunks

router = Router(tags=["datasets"])


@router.post(
    "/projects/{project_id}/uploads",
    auth=WRITE,
    response={201: s.UploadOut},
    openapi_extra=HEADER,
)
@once(s.UploadOut)
def begin_upload(request: Request, project_id: c.Id, body: s.UploadIn) -> Any:
    """A place for a file; or the one where this very file stopped, with what it has received."""
    return chunks.begin_upload(
        project=project_for(request, project_id, at_least="owner"),
        user=request.user,
        filename=body.filename,
        size_bytes=body.size,
        modified=body.modified,
    )


@router.get("/uploads/{upload_id}", auth=READ, response=s.UploadOut)
def get_upload(request: Request, upload_id: UUID) -> Any:
    return _upload(request, upload_id)


@router.put("/uploads/{upload_id}", auth=WRITE, response=s.UploadOut, openapi_extra=ANY_BYTES)
def send_part(
    request: Request, upload_id: UUID, offset: Annotated[int, Field(ge=0, le=c.BIGGEST_ID)]
) -> Any:
    """The bytes from `offset` on. 409 where the upload stands elsewhere: look at `received`."""
    upload = _upload(request, upload_id)
    try:
        chunks.receive_chunk(upload=upload, offset=offset, body=request, length=length_of(request))
    except chunks.WrongPlace as place:
        raise Refused(409, f"{place.received} bytes are here: send what follows them.") from None
    return upload


@router.post(
    "/uploads/{upload_id}/finish", auth=WRITE, response={201: s.DatasetOut}, openapi_extra=HEADER
)
@once(s.DatasetOut)
def finish_upload(request: Request, upload_id: UUID, body: s.StoreIn) -> Any:
    """Once all is here: a draft, to be imported."""
    return chunks.finish_upload(upload=_upload(request, upload_id), name=body.name)


@router.delete("/uploads/{upload_id}", auth=WRITE, response={204: None})
def drop_upload(request: Request, upload_id: UUID) -> HttpResponse:
    chunks.drop_upload(upload=_upload(request, upload_id))
    return HttpResponse(status=204)


def _upload(request: Request, upload_id: UUID) -> Upload:
    """Of this very person, who still owns the project."""
    upload = own_upload(request.user, upload_id)
    check_project(request, upload.project_id)
    access.project_for(request.user, upload.project_id, at_least="owner")
    return upload
