"""Exports: asked for, and fetched as a stream."""

from typing import Any

from django.http import FileResponse
from ninja import Router

from refinement.api.auth import READ, WRITE, Request, export_for, run_for
from refinement.api.once import HEADER, once
from refinement.api.paging import page_of
from refinement.api.problems import Refused
from refinement.api.schemas import common as c
from refinement.api.schemas import exports as s
from refinement.models import Export
from refinement.services import exports as services

router = Router(tags=["exports"])


@router.get("/runs/{run_id}/exports", auth=READ, response=c.Page[s.ExportOut])
def list_exports(
    request: Request, run_id: c.Id, cursor: c.Cursor = "", limit: c.Limit = 100
) -> Any:
    return page_of(run_for(request, run_id).exports.all(), cursor=cursor, limit=limit)


@router.post(
    "/runs/{run_id}/exports", auth=WRITE, response={201: s.ExportOut}, openapi_extra=HEADER
)
@once(s.ExportOut)
def create_export(request: Request, run_id: c.Id, body: s.ExportIn) -> Any:
    """Ask for a file of what the run selects now. A worker writes it."""
    run = run_for(request, run_id, at_least="owner")
    return services.create_export(run=run, user=request.user, options=body.model_dump())


@router.get("/exports/{export_id}", auth=READ, response=s.ExportOut)
def get_export(request: Request, export_id: c.Id) -> Any:
    return export_for(request, export_id)


@router.get("/exports/{export_id}/file", auth=READ, response={200: None})
def download_export(request: Request, export_id: c.Id) -> FileResponse:
    """The file, as a stream. 409 while it is not written yet."""
    export = _ready(request, export_id)
    try:
        file = export.file.open("rb")
    except FileNotFoundError:
        raise Refused(404, "The stored file is gone from the server. Export again.") from None
    name = str(export.file.name).rpartition("/")[2]
    return FileResponse(
        file, as_attachment=True, filename=name, content_type="application/octet-stream"
    )


@router.get("/exports/{export_id}/manifest", auth=READ, response=dict[str, Any])
def get_manifest(request: Request, export_id: c.Id) -> Any:
    return _ready(request, export_id).manifest


def _ready(request: Request, export_id: int) -> Export:
    export = export_for(request, export_id)
    if export.status == Export.Status.FAILED:
        raise Refused(409, f"This export failed: {export.error}")
    if export.status != Export.Status.READY:
        raise Refused(409, "This export is not written yet. Ask again in a while.")
    return export
