"""Where a ready export goes: a link for people without a login, a Hugging Face repository."""

from datetime import timedelta
from typing import Any

from django.urls import reverse
from ninja import Router, Status

from refinement.api.auth import READ, WRITE, Request, export_for
from refinement.api.exports import ready_for
from refinement.api.once import HEADER, once
from refinement.api.paging import page_of
from refinement.api.schemas import common as c
from refinement.api.schemas import exports as s
from refinement.selectors import access
from refinement.services import pushes
from refinement.services.export_links import sign_link

router = Router(tags=["exports"])


@router.post("/exports/{export_id}/link", auth=WRITE, response={201: s.LinkOut})
def make_link(request: Request, export_id: c.Id, body: s.LinkIn) -> Any:
    """A link that works without a login. It is not kept, so it cannot be shown again."""
    export = ready_for(request, export_id, at_least="owner")
    signed = sign_link(export=export, valid_for=timedelta(days=body.days))
    address = request.build_absolute_uri(reverse("export-link-file", args=[signed]))
    return Status(201, {"url": address})


@router.get("/exports/{export_id}/pushes", auth=READ, response=c.Page[s.PushOut])
def list_pushes(
    request: Request, export_id: c.Id, cursor: c.Cursor = "", limit: c.Limit = 100
) -> Any:
    return page_of(export_for(request, export_id).pushes.all(), cursor=cursor, limit=limit)


@router.post(
    "/exports/{export_id}/pushes", auth=WRITE, response={201: s.PushOut}, openapi_extra=HEADER
)
@once(s.PushOut)
def push_export(request: Request, export_id: c.Id, body: s.PushIn) -> Any:
    """Upload all files as a dataset repository. A worker does it; sent twice, two commits."""
    export = ready_for(request, export_id, at_least="owner")
    return pushes.create_push(export=export, user=request.user, **body.model_dump())


@router.get("/exports/{export_id}/pushes/{push_id}", auth=READ, response=s.PushOut)
def get_push(request: Request, export_id: c.Id, push_id: c.Id) -> Any:
    found = export_for(request, export_id).pushes.filter(pk=push_id).first()
    if found is None:
        raise access.NoAccess("No such push of this export.")
    return found
