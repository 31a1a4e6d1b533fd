"""Going on from a run: its selection becomes a dataset, and the form for the next run is filled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from refinement.models import Run
from refinement.selectors import access
from refinement.services.errors import ServiceError
from refinement.services.rounds import take_selection

if TYPE_CHECKING:
    from django.http import HttpResponse

    from refinement.models import Project
    from refinement.web.http import Request


@require_POST
def next_round(request: Request, run_id: int) -> HttpResponse:
    """Take what the run selects now, and go to the form that starts a run over it."""
    run = access.run_for(request.user, run_id, at_least="owner")
    try:
        dataset = take_selection(run=run, user=request.user)
    except ServiceError as error:
        messages.error(request, str(error))
        return redirect("run", run_id)
    query = urlencode({"dataset": dataset.pk, "after": run.pk})
    return redirect(f"{reverse('run-new', args=[run.project_id])}?{query}")


def further_round(request: Request, project: Project) -> dict[str, Any]:
    """What the form starts with where it follows a run: that run's teacher and student."""
    after = request.GET.get("after", "")
    if not after.isdecimal():
        return {}
    run = Run.objects.filter(pk=int(after[:18]), project=project).first()
    return {"teacher": run.teacher_id, "student": run.student_id} if run else {}


urlpatterns = [path("runs/<int:run_id>/next-round", next_round, name="run-next-round")]
