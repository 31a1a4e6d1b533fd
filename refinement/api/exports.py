"""Exports: counted first, asked for, and fetched as a stream."""

from typing import Any

from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from ninja import Query, Router

from refinement.api.auth import READ, WRITE, Request, dataset_for, export_for, run_for
from refinement.api.once import HEADER, once
from refinement.api.paging import page_of
from refinement.api.problems import Refused
from refinement.api.schemas import common as c
from refinement.api.schemas import exports as s
from refinement.models import Export
from refinement.selectors.export_preview import export_preview
from refinement.selectors.what_if import policy_of
from refinement.services import export_files as files
from refinement.services import exports as services
from refinement.services.export_counts import LeavingCounts, count_leaving

router = Router(tags=["exports"])
_BYTES = "application/octet-stream"


# -- Of a run -------------------------------------------------------------------------------------
@router.get("/runs/{run_id}/selection", auth=READ, response=s.SelectionOut)
def get_selection(request: Request, run_id: c.Id) -> Any:
    """What the run selects now, in counts."""
    counts = export_preview(run_for(request, run_id))
    return {name: getattr(counts, name) for name in s.SelectionOut.model_fields}


@router.get("/runs/{run_id}/exports", auth=READ, response=c.Page[s.ExportOut])
def list_exports(
    request: Request, run_id: c.Id, cursor: c.Cursor = "", limit: c.Limit = 100
) -> Any:
    return page_of(run_for(request, run_id).exports.all(), cursor=cursor, limit=limit)


@router.get("/runs/{run_id}/exports/preview", auth=READ, response=s.LeavingOut)
def preview_export(request: Request, run_id: c.Id, options: Query[s.ExportLook]) -> Any:
    """How many rows would leave now under these options. Nothing is written."""
    run = run_for(request, run_id)
    return _told(count_leaving(run=run, options=options.chosen(policy_of(run))))


@router.post(
    "/runs/{run_id}/exports", auth=WRITE, response={201: s.ExportOut}, openapi_extra=HEADER
)
@once(s.ExportOut)
def create_export(request: Request, run_id: c.Id, body: s.ExportIn) -> Any:
    """Ask for a file of what the run selects now. A worker writes it."""
    run = run_for(request, run_id, at_least="owner")
    return services.create_export(run=run, user=request.user, options=body.chosen(policy_of(run)))


# -- Of a dataset as it was imported --------------------------------------------------------------
@router.get("/datasets/{dataset_id}/exports", auth=READ, response=c.Page[s.ExportOut])
def list_dataset_exports(
    request: Request, dataset_id: c.Id, cursor: c.Cursor = "", limit: c.Limit = 100
) -> Any:
    return page_of(dataset_for(request, dataset_id).exports.all(), cursor=cursor, limit=limit)


@router.get("/datasets/{dataset_id}/exports/preview", auth=READ, response=s.LeavingOut)
def preview_dataset_export(request: Request, dataset_id: c.Id, options: Query[s.ExportLook]) -> Any:
    dataset = dataset_for(request, dataset_id)
    return _told(count_leaving(dataset=dataset, options=options.chosen()))


@router.post(
    "/datasets/{dataset_id}/exports", auth=WRITE, response={201: s.ExportOut}, openapi_extra=HEADER
)
@once(s.ExportOut)
def create_dataset_export(request: Request, dataset_id: c.Id, body: s.ExportIn) -> Any:
    """Ask for a file of the dataset as it was imported, in any shape."""
    dataset = dataset_for(request, dataset_id, at_least="owner")
    return services.create_export(dataset=dataset, user=request.user, options=body.chosen())


def _told(counts: LeavingCounts) -> dict[str, Any]:
    return {name: getattr(counts, name) for name in s.LeavingOut.model_fields}


# -- One export -----------------------------------------------------------------------------------
@router.get("/exports/{export_id}", auth=READ, response=s.ExportOut)
def get_export(request: Request, export_id: c.Id) -> Any:
    return export_for(request, export_id)


@router.post("/exports/{export_id}/cancel", auth=WRITE, response=s.ExportOut)
def cancel_export(request: Request, export_id: c.Id) -> Any:
    """Stop the writing."""
    export = export_for(request, export_id, at_least="owner")
    services.cancel_export(export=export)
    export.refresh_from_db()
    return export


@router.delete("/exports/{export_id}", auth=WRITE, response={204: None})
def delete_export(request: Request, export_id: c.Id) -> HttpResponse:
    """With its files. Links to them lead nowhere then."""
    services.delete_export(export=export_for(request, export_id, at_least="owner"))
    return HttpResponse(status=204)


@router.get("/exports/{export_id}/file", auth=READ, response={200: None})
def download_export(request: Request, export_id: c.Id) -> FileResponse:
    """The data, as a stream: of several files that of the split `train`. 409 while unwritten."""
    export = ready_for(request, export_id)
    return _sent(export, str(export.file.name).rpartition("/")[2])


@router.get("/exports/{export_id}/files", auth=READ, response=c.Page[s.FileOut])
def list_files(request: Request, export_id: c.Id) -> Any:
    """The data first, then the papers that belong to it."""
    export = ready_for(request, export_id)
    paths = [files.path_of(export, name) for name in files.names_of(export)]
    found = [path for path in paths if path is not None and path.is_file()]
    items = [{"name": path.name, "size_bytes": path.stat().st_size} for path in found]
    return {"items": items, "next": None}


@router.get("/exports/{export_id}/files/{name}", auth=READ, response={200: None})
def download_file(request: Request, export_id: c.Id, name: c.Text) -> FileResponse:
    return _sent(ready_for(request, export_id), name)


@router.get("/exports/{export_id}/all.zip", auth=READ, response={200: None})
def download_all(request: Request, export_id: c.Id) -> StreamingHttpResponse:
    """All files as one archive."""
    export = ready_for(request, export_id)
    try:
        pieces = files.zip_of(export)
    except FileNotFoundError:
        raise _gone() from None
    answer = StreamingHttpResponse(pieces, content_type="application/zip")
    answer["Content-Disposition"] = f'attachment; filename="{files.file_stem(export)}.zip"'
    return answer


@router.get("/exports/{export_id}/manifest", auth=READ, response=dict[str, Any])
def get_manifest(request: Request, export_id: c.Id) -> Any:
    return ready_for(request, export_id).manifest


def ready_for(request: Request, export_id: int, *, at_least: Any = "viewer") -> Export:
    """An export that is written. Raises Refused (409) for any other."""
    export = export_for(request, export_id, at_least=at_least)
    if export.status == Export.Status.READY:
        return export
    if export.status == Export.Status.FAILED:
        raise Refused(409, f"This export failed: {export.error}")
    if export.status == Export.Status.CANCELLED:
        raise Refused(409, "This export was cancelled. Ask for another one.")
    raise Refused(409, "This export is not written yet. Ask again in a while.")


def _sent(export: Export, name: str) -> FileResponse:
    path = files.path_of(export, name)
    if path is None:
        raise Refused(404, "This export has no such file: see its list of files.")
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise _gone() from None
    return FileResponse(file, as_attachment=True, filename=name, content_type=_BYTES)


def _gone() -> Refused:
    return Refused(404, "The stored file is gone from the server. Export again.")
