"""From a stored file to a dataset: a look at it, its import or a dry run, stopped, tried anew."""

from typing import Any

from ninja import Query, Router

from refinement.api.auth import READ, WRITE, Request, dataset_for, project_for
from refinement.api.once import HEADER, once
from refinement.api.problems import Refused
from refinement.api.schemas import common as c
from refinement.api.schemas import datasets as s
from refinement.formats.registry import FORMATS, FormatError
from refinement.formats.shapes import shape_of
from refinement.models import Dataset
from refinement.selectors import access
from refinement.selectors.import_plan import first_rows, look_into, plan_of
from refinement.services import datasets as services
from refinement.services import server_folder

router = Router(tags=["datasets"])


@router.get("/datasets/{dataset_id}/look", auth=READ, response=s.LookOut)
def look(request: Request, dataset_id: c.Id, reading: Query[s.Reading]) -> Any:
    """What a draft seems to hold, and its first records as they would go in. Nothing changes."""
    dataset = dataset_for(request, dataset_id, at_least="owner")
    if dataset.status != Dataset.Status.DRAFT:
        raise Refused(409, "Only a draft can be looked into: this file is imported, or failed.")
    _check(reading)
    try:
        found = look_into(dataset)
        plan = plan_of(
            dataset,
            found,
            chosen=reading.format,
            mapping=reading.mapping,
            turns=reading.turns or "",
        )
        rows = first_rows(found, plan)
    except FormatError as error:
        raise Refused(422, str(error)) from error
    except OSError as error:
        raise Refused(404, "The stored file is gone. Upload it again.") from error
    return {
        "container": found.container,
        "guess": found.format,
        "format": plan.format,
        "mapping": plan.mapping,
        "turns": plan.turns,
        "like": plan.like.pk if plan.like else None,
        "places": found.places,
        "formats": [_format(name) for name in FORMATS],
        "rows": [_row(row) for row in rows],
    }


def _check(reading: s.Reading) -> None:
    """What the preview would pass over is a slip."""
    if reading.format and reading.format not in FORMATS:
        raise Refused(422, f"There is no format “{reading.format}”: one of {', '.join(FORMATS)}.")
    if reading.mapping is None:
        return
    if not reading.format:
        raise Refused(422, "Say also the format that the mapping is of.")
    try:
        shape_of(reading.format, reading.mapping)
    except ValueError as error:
        raise Refused(422, f"This mapping does not fit: {error}.") from error


def _format(name: str) -> dict[str, Any]:
    shape = FORMATS[name]
    return {
        "name": name,
        "label": str(shape.label),
        "fields": dict(shape.fields),
        "required": list(shape.required),
    }


def _row(row: dict[str, Any]) -> dict[str, Any]:
    pair = row.pop("pair", None)
    rewrites = len(row.pop("rewrites", ()))
    texts = (
        {name: getattr(pair, name) for name in ("instruction", "input", "response")} if pair else {}
    )
    return row | texts | {"rewrites": rewrites}


@router.post("/datasets/{dataset_id}/import", auth=WRITE, response=s.DatasetOut)
def start_import(request: Request, dataset_id: c.Id, body: s.ImportIn) -> Any:
    """Import a draft, or one that failed; or read all of it to see what an import would do."""
    dataset = dataset_for(request, dataset_id, at_least="owner")
    services.start_import(
        dataset=dataset,
        format=body.format,
        mapping=body.mapping,
        options={name: getattr(body, name) for name in services.OPTIONS},
        dry_run=body.dry_run,
    )
    dataset.refresh_from_db()
    return dataset


@router.post("/datasets/{dataset_id}/stop", auth=WRITE, response=s.DatasetOut)
def stop_import(request: Request, dataset_id: c.Id) -> Any:
    """Stop an import or a dry run. The file stays, as a draft."""
    dataset = dataset_for(request, dataset_id, at_least="owner")
    services.cancel_import(dataset=dataset)
    dataset.refresh_from_db()
    return dataset


@router.post("/datasets/{dataset_id}/reopen", auth=WRITE, response=s.DatasetOut)
def reopen(request: Request, dataset_id: c.Id) -> Any:
    """Make an import that failed a draft again, to be looked into and read in another way."""
    dataset = dataset_for(request, dataset_id, at_least="owner")
    services.reopen(dataset=dataset)
    dataset.refresh_from_db()
    return dataset


# -- The server's folder --------------------------------------------------------------------------
@router.get("/projects/{project_id}/server-folder", auth=READ, response=c.Page[s.EntryOut])
def list_server_folder(request: Request, project_id: c.Id, within: c.Text = "") -> Any:
    """What lies on the server to be imported. For admins who own the project."""
    _folder_for(request, project_id)
    return {"items": server_folder.entries(within), "next": None}


@router.post(
    "/projects/{project_id}/server-folder",
    auth=WRITE,
    response={201: s.DatasetOut},
    openapi_extra=HEADER,
)
@once(s.DatasetOut)
def take_from_server(request: Request, project_id: c.Id, body: s.ServerFileIn) -> Any:
    """A draft of a file, or of a Hugging Face dataset folder, that lies on the server."""
    return server_folder.take_in(
        project=_folder_for(request, project_id),
        user=request.user,
        name=body.path,
        split=body.split,
        called=body.name,
    )


def _folder_for(request: Request, project_id: int) -> Any:
    project = project_for(request, project_id, at_least="owner")
    if not request.user.is_staff:
        raise Refused(403, "Only an admin may import what lies on the server.")
    if not server_folder.is_open():
        raise access.NoAccess("This server has no folder to import from.")
    return project
