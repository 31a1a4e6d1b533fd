"""The list of pairs that can be reviewed, as the review room has it, and its named views."""

from typing import Any

from django.http import HttpResponse
from ninja import Query, Router

from refinement.api.auth import READ, REVIEW, Request, pair_for, project_for, run_for
from refinement.api.once import HEADER, once
from refinement.api.paging import cursor_of, page_of, place_of
from refinement.api.problems import Refused
from refinement.api.schemas import acts as s
from refinement.api.schemas import common as c
from refinement.api.schemas.pairs import PairFilter, PairLine
from refinement.models import Run, RunSample
from refinement.selectors import access
from refinement.selectors.blind import BLIND_SHOWS
from refinement.selectors.queue import Queue, QueueFilter, QueueLine
from refinement.selectors.queue.lines import lines_of
from refinement.selectors.review_sharing import plan_of
from refinement.services import saved_views
from refinement.services.flags import set_flag

router = Router(tags=["review"])


@router.get("/runs/{run_id}/pairs", auth=READ, response=c.Page[PairLine])
def list_pairs(
    request: Request,
    run_id: c.Id,
    filters: Query[PairFilter],
    cursor: c.Cursor = "",
    limit: c.Limit = 100,
) -> Any:
    """The pairs that can be reviewed, filtered and ordered as in the review room.

    Of a run that is reviewed blind in the order of the file, with nothing but their numbers.
    """
    run = run_for(request, run_id)
    queue, blind = filters.queue(), plan_of(run).blind
    if blind and (queue != QueueFilter(show=queue.show) or queue.show not in BLIND_SHOWS):
        shows = ", ".join(BLIND_SHOWS)
        raise Refused(422, f"This run is reviewed blind: list its pairs by show alone, of {shows}.")
    walk = Queue(run, queue)
    around = _pair_at(run, cursor) if cursor else None
    ids = walk.first(limit + 1) if around is None else walk.beside(around, limit + 1)
    following = cursor_of(ids[limit - 1]) if len(ids) > limit else None
    lines = lines_of(ids[:limit])
    return {"items": [_numbered(line) for line in lines] if blind else lines, "next": following}


def _numbered(line: QueueLine) -> dict[str, Any]:
    """Without what would tell where a side is from."""
    hidden = {"title": "", "margin": None, "mark": "", "edited": False}
    told = {name: getattr(line, name) for name in ("run_sample_id", "position", "decided")}
    return told | hidden


def _pair_at(run: Run, cursor: str) -> RunSample:
    """The last pair of the page before. It need not match the filter any more."""
    found = RunSample.objects.filter(run=run, pk=place_of(cursor)).first()
    if found is None:
        raise Refused(422, "This cursor is of another list: take `next` of the page before.")
    return found


@router.post("/runs/{run_id}/pairs/{pair_id}/flag", auth=REVIEW, response=s.FlagOut)
def flag_pair(request: Request, run_id: c.Id, pair_id: c.Id, body: s.FlagIn) -> Any:
    """Mark a pair, or take the mark away. It changes nothing that is exported."""
    pair = pair_for(request, run_id, pair_id, at_least="reviewer")
    set_flag(run_sample=pair, user=request.user, flagged=body.flagged)
    return {"flagged": body.flagged}


# -- Named views ----------------------------------------------------------------------------------
@router.get("/projects/{project_id}/views", auth=READ, response=c.Page[s.ViewOut])
def list_views(
    request: Request, project_id: c.Id, cursor: c.Cursor = "", limit: c.Limit = 100
) -> Any:
    """Filters that the project keeps under a name."""
    return page_of(project_for(request, project_id).saved_views.all(), cursor=cursor, limit=limit)


@router.post(
    "/projects/{project_id}/views", auth=REVIEW, response={201: s.ViewOut}, openapi_extra=HEADER
)
@once(s.ViewOut)
def save_view(request: Request, project_id: c.Id, body: s.ViewIn) -> Any:
    return saved_views.save_view(
        project=project_for(request, project_id, at_least="reviewer"),
        user=request.user,
        name=body.name,
        query=body.filter.queue().as_query(),
    )


@router.delete("/projects/{project_id}/views/{view_id}", auth=REVIEW, response={204: None})
def delete_view(request: Request, project_id: c.Id, view_id: c.Id) -> HttpResponse:
    """Its pairs are not touched."""
    project = project_for(request, project_id, at_least="reviewer")
    view = project.saved_views.filter(pk=view_id).first()
    if view is None:
        raise access.NoAccess("No such view.")
    saved_views.forget_view(view=view)
    return HttpResponse(status=204)
