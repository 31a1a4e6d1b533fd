"""Acts on everything that a filter matches, what people did in a run, and named views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from refinement.formats.writing.sent_lines import LINES_TYPES, lines_of
from refinement.models import BulkAct, Decision, SavedView
from refinement.selectors import access
from refinement.selectors.act_preview import act_preview
from refinement.selectors.blind import acts_need
from refinement.selectors.history import COLUMNS, bulk_acts, history_page, history_records
from refinement.selectors.queue import QueueFilter
from refinement.selectors.review_sharing import reviewers_of
from refinement.services.bulk_acts import restore_run, start_act, undo_act
from refinement.services.errors import ServiceError
from refinement.services.flags import toggle_flag
from refinement.services.saved_views import forget_view, save_view
from refinement.web.http import Request, live, live_response
from refinement.web.queue_panel import in_words
from refinement.web.review_state import RoomState
from refinement.web.review_ways import pair_for

if TYPE_CHECKING:
    from django.http import HttpResponse
    from django.utils.safestring import SafeString

    from refinement.models import Run

AT_WORK = {
    BulkAct.Status.PENDING,
    BulkAct.Status.WORKING,
    BulkAct.Status.UNDO_PENDING,
    BulkAct.Status.UNDOING,
}
ACTS = {
    BulkAct.Action.ACCEPT: gettext_noop(
        "The student's choice stands; pairs without a verdict are left out."
    ),
    BulkAct.Action.ORIGINAL: gettext_noop(
        "The original texts are kept, whatever the verdicts say."
    ),
    BulkAct.Action.DROP: gettext_noop("None of them is exported."),
    BulkAct.Action.FLAG: gettext_noop(
        "Marks them, so that “flagged by a person” finds them; exports nothing."
    ),
    BulkAct.Action.ASSIGN: gettext_noop("“Next” gives them to one person alone."),
}


@require_http_methods(["GET", "POST"])
def act(request: Request, run_id: int) -> HttpResponse:
    """What an act would touch, and then the act itself."""
    run = access.run_for(request.user, run_id, at_least="reviewer")
    access.run_for(request.user, run_id, at_least=acts_need(run))
    queue = QueueFilter.from_query(request.GET)
    if request.method == "GET":
        return _act_page(request, run, queue)
    expected = request.POST.get("expected", "")
    chosen = request.POST.get("assignee", "")
    people = {str(user.pk): user for user in reviewers_of(run.project)}
    action = request.POST.get("action", "")
    if action == BulkAct.Action.ASSIGN:
        access.run_for(request.user, run_id, at_least="owner")
    try:
        start_act(
            run=run,
            user=request.user,
            action=action,
            queue=queue,
            expected=int(expected) if expected.isdecimal() and len(expected) < 12 else 0,
            assignee=people.get(chosen),
        )
    except ServiceError as error:
        return _act_page(request, run, queue, error=str(error), status=422)
    messages.success(
        request, gettext("Asked for. It goes on by itself, and can be undone as a whole.")
    )
    return redirect("run-history", run.pk)


def _act_page(
    request: Request, run: Run, queue: QueueFilter, *, error: str = "", status: int = 200
) -> HttpResponse:
    preview = act_preview(run, queue)
    role = access.role_of(request.user, run.project)
    acts = [
        {"value": action.value, "label": action.label, "means": gettext(means)}
        for action, means in ACTS.items()
        if action != BulkAct.Action.ASSIGN or role == "owner"
    ]
    context = {
        "run": run,
        "project": run.project,
        "count": preview.count,
        "words": in_words(queue),
        "lines": preview.sample,
        "acts": acts,
        "people": reviewers_of(run.project),
        "may_assign": role == "owner",
        "error": error,
        "chosen": request.POST.get("action", ""),
        "query": urlencode(queue.as_query()),
    }
    return render(request, "bulk/page.html", context, status=status)


# -- History --------------------------------------------------------------------------------------
@require_GET
def history(request: Request, run_id: int) -> HttpResponse:
    run = access.run_for(request.user, run_id)
    before = request.GET.get("before", "")
    page = history_page(run, request.user, before=int(before) if before.isdecimal() else None)
    html, _ = _acts_part(request, run)
    context = {
        "run": run,
        "project": run.project,
        "acts": html,
        "page": page,
        "role": access.role_of(request.user, run.project),
        "newest": not before,
    }
    return render(request, "bulk/history.html", context)


@require_GET
def acts(request: Request, run_id: int) -> HttpResponse:
    """The part of the page that changes while acts are in work."""
    run = access.run_for(request.user, run_id)
    return live_response(request, *_acts_part(request, run))


def _acts_part(request: Request, run: Run) -> tuple[SafeString, str]:
    found = bulk_acts(run)
    lines = [
        {
            "act": one,
            "words": in_words(QueueFilter.from_query(one.query)) if one.query else "",
            "at_work": one.status in AT_WORK,
        }
        for one in found
    ]
    return live(
        request,
        element="acts-live",
        template="bulk/_acts.html",
        url=reverse("run-acts", args=[run.pk]),
        every=2 if any(line["at_work"] for line in lines) else None,
        context={
            "run": run,
            "acts": lines,
            "may_undo": access.role_of(request.user, run.project) in ("owner", "reviewer"),
        },
    )


@require_POST
def undo(request: Request, run_id: int, act_id: int) -> HttpResponse:
    """By whoever asked for the act, or an owner."""
    run = access.run_for(request.user, run_id, at_least="reviewer")
    found = get_object_or_404(BulkAct.objects.select_related("run__project"), pk=act_id, run=run)
    if found.user_id != request.user.pk:
        access.run_for(request.user, run_id, at_least="owner")
    return _back(
        request, run, lambda: undo_act(act=found, user=request.user), gettext("The undo begins.")
    )


@require_POST
def restore(request: Request, run_id: int) -> HttpResponse:
    run = access.run_for(request.user, run_id, at_least="owner")
    number = request.POST.get("decision", "")
    through = get_object_or_404(
        Decision.objects.select_related("run_sample"),
        pk=int(number) if number.isdecimal() else 0,
        run=run,
    )
    said = gettext("Restoring begins; it can be undone as a whole.")
    return _back(
        request, run, lambda: restore_run(run=run, user=request.user, through=through), said
    )


def _back(request: Request, run: Run, work: Any, said: str) -> HttpResponse:
    try:
        work()
    except ServiceError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, said)
    return redirect("run-history", run.pk)


@require_GET
def export(request: Request, run_id: int, form: str) -> StreamingHttpResponse:
    """The whole history as JSON Lines or CSV, row by row."""
    run = access.run_for(request.user, run_id)
    lines = lines_of(form, COLUMNS, history_records(run, request.user))
    response = StreamingHttpResponse(lines, content_type=LINES_TYPES[form])
    response["Content-Disposition"] = f'attachment; filename="run-{run.pk}-history.{form}"'
    return response


# -- Views and flags ------------------------------------------------------------------------------
@require_POST
def save(request: Request, run_id: int) -> HttpResponse:
    run = access.run_for(request.user, run_id, at_least="reviewer")
    queue = QueueFilter.from_query(request.GET)
    try:
        view = save_view(
            project=run.project,
            user=request.user,
            name=request.POST.get("name", ""),
            query=queue.as_query(),
        )
    except ServiceError as error:
        messages.error(request, str(error))
    else:
        messages.success(
            request,
            gettext("Saved as “%(name)s”, for everybody in this project.") % {"name": view.name},
        )
    return _to_queue(run, queue)


@require_POST
def forget(request: Request, run_id: int, view_id: int) -> HttpResponse:
    run = access.run_for(request.user, run_id, at_least="reviewer")
    view = get_object_or_404(SavedView, pk=view_id, project=run.project_id)
    forget_view(view=view)
    messages.success(
        request,
        gettext("The view “%(name)s” is forgotten; its pairs are not touched.")
        % {"name": view.name},
    )
    return _to_queue(run, QueueFilter.from_query(request.GET))


@require_POST
def flag(request: Request, run_id: int, run_sample_id: int) -> HttpResponse:
    run_sample = pair_for(request, run_id, run_sample_id, at_least="reviewer")
    flagged = toggle_flag(run_sample=run_sample, user=request.user)
    said = (
        gettext("Flagged pair %(number)s.")
        if flagged
        else gettext("Took the flag off pair %(number)s.")
    )
    messages.success(request, said % {"number": run_sample.position + 1})
    return redirect(RoomState.from_query(request.GET).pair_url(run_id, run_sample_id))


def _to_queue(run: Run, queue: QueueFilter) -> HttpResponse:
    query = urlencode(queue.as_query())
    return redirect(reverse("review", args=[run.pk]) + (f"?{query}" if query else ""))


urlpatterns = [
    path("runs/<int:run_id>/bulk", act, name="bulk"),
    path("runs/<int:run_id>/bulk/<int:act_id>/undo", undo, name="bulk-undo"),
    path("runs/<int:run_id>/history", history, name="run-history"),
    path("runs/<int:run_id>/history/acts", acts, name="run-acts"),
    path("runs/<int:run_id>/history/restore", restore, name="run-restore"),
    path("runs/<int:run_id>/history.jsonl", export, {"form": "jsonl"}, name="history-jsonl"),
    path("runs/<int:run_id>/history.csv", export, {"form": "csv"}, name="history-csv"),
    path("runs/<int:run_id>/views", save, name="view-save"),
    path("runs/<int:run_id>/views/<int:view_id>/forget", forget, name="view-delete"),
    path("runs/<int:run_id>/review/<int:run_sample_id>/flag", flag, name="flag"),
]
