"""Datasets: sent as a stream, read in pages."""

from typing import Annotated, Any

from django.http import HttpResponse, StreamingHttpResponse
from ninja import Field, Router

from refinement.api.auth import READ, WRITE, Request, dataset_for, project_for
from refinement.api.bodies import ANY_BYTES, StreamedBody
from refinement.api.once import HEADER, once
from refinement.api.paging import page_of
from refinement.api.schemas import common as c
from refinement.api.schemas import datasets as s
from refinement.selectors import datasets as selectors
from refinement.services import datasets as services

router = Router(tags=["datasets"])


@router.get("/projects/{project_id}/datasets", auth=READ, response=c.Page[s.DatasetOut])
def list_datasets(
    request: Request, project_id: c.Id, cursor: c.Cursor = "", limit: c.Limit = 100
) -> Any:
    return page_of(project_for(request, project_id).datasets.all(), cursor=cursor, limit=limit)


@router.post(
    "/projects/{project_id}/datasets",
    auth=WRITE,
    response={201: s.DatasetOut},
    openapi_extra=HEADER | ANY_BYTES,
)
@once(s.DatasetOut)
def upload_dataset(
    request: Request,
    project_id: c.Id,
    filename: Annotated[c.Text, Field(max_length=255)] = "upload.jsonl",
    name: Annotated[c.Text, Field(max_length=200, description="Left out: the file's")] = "",
    draft: Annotated[
        bool, Field(description="Only store it: look into it, then import it")
    ] = False,
) -> Any:
    """The body is the file. It is stored as it comes, and imported by a worker."""
    project = project_for(request, project_id, at_least="owner")
    return services.create_dataset(
        project=project,
        name=name,
        upload=StreamedBody(request),
        filename=filename,
        user=request.user,
        draft=draft,
    )


@router.get("/datasets/{dataset_id}", auth=READ, response=s.DatasetDetail)
def get_dataset(request: Request, dataset_id: c.Id) -> Any:
    return dataset_for(request, dataset_id)


@router.delete("/datasets/{dataset_id}", auth=WRITE, response={204: None})
def delete_dataset(request: Request, dataset_id: c.Id) -> HttpResponse:
    services.delete_dataset(dataset=dataset_for(request, dataset_id, at_least="owner"))
    return HttpResponse(status=204)


@router.get("/datasets/{dataset_id}/samples", auth=READ, response=c.Page[s.SampleOut])
def list_samples(
    request: Request, dataset_id: c.Id, cursor: c.Cursor = "", limit: c.Limit = 100
) -> Any:
    rows = dataset_for(request, dataset_id).samples.all()
    return page_of(rows, cursor=cursor, limit=limit, by="position")


@router.get("/datasets/{dataset_id}/rejected", auth=READ, response=c.Page[s.RejectedOut])
def list_rejected(
    request: Request, dataset_id: c.Id, cursor: c.Cursor = "", limit: c.Limit = 100
) -> Any:
    rows = dataset_for(request, dataset_id).rejected_rows.all()
    return page_of(rows, cursor=cursor, limit=limit, by="pk")


@router.get("/datasets/{dataset_id}/kept", auth=READ, response=c.Page[s.KeptOut])
def list_kept(
    request: Request, dataset_id: c.Id, cursor: c.Cursor = "", limit: c.Limit = 100
) -> Any:
    """Records that hold nothing to refine, and leave as they came."""
    rows = dataset_for(request, dataset_id).kept_records.all()
    return page_of(rows, cursor=cursor, limit=limit, by="position")


@router.get("/datasets/{dataset_id}/rejected.jsonl", auth=READ, response={200: None})
def download_rejected(request: Request, dataset_id: c.Id) -> StreamingHttpResponse:
    """Every refused record, as JSON Lines."""
    lines = selectors.rejected_lines(dataset_for(request, dataset_id))
    return StreamingHttpResponse(lines, content_type="application/x-ndjson; charset=utf-8")
