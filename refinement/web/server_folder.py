"""Importing what lies on the server already. For admins who own the project."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from refinement.selectors import access
from refinement.services import server_folder as services
from refinement.services.errors import ServiceError
from refinement.services.submissions import AlreadySent, new_token, sent_once
from refinement.web.forms import ServerFileForm

if TYPE_CHECKING:
    from refinement.models import Project
    from refinement.web.http import Request


@require_http_methods(["GET", "POST"])
def server_folder(request: Request, project_id: int) -> HttpResponse:
    project = access.project_for(request.user, project_id, at_least="owner")
    if not request.user.is_staff:
        raise PermissionDenied(gettext("Only an admin may import what lies on the server."))
    if not services.is_open():
        raise Http404(gettext("This server has no folder to import from."))
    if request.method == "POST":
        return _take_in(request, project)
    return _list(request, project, request.GET.get("within", ""))


def _list(request: Request, project: Project, within: str) -> HttpResponse:
    try:
        found = services.entries(within)
    except ServiceError as error:
        raise Http404(str(error)) from None
    steps = PurePosixPath(within).parts
    context = {
        "project": project,
        "entries": [(entry, new_token()) for entry in found],
        "within": within,
        "steps": [("/".join(steps[: n + 1]), name) for n, name in enumerate(steps)],
        "most": services.MOST_ENTRIES,
        "token": new_token(),
    }
    return render(request, "datasets/server_folder.html", context)


def _take_in(request: Request, project: Project) -> HttpResponse:
    form = ServerFileForm(request.POST)
    within = str(PurePosixPath(request.POST.get("name", "")).parent)
    here = reverse("dataset-server-folder", args=[project.pk])
    if not form.is_valid():
        messages.error(request, str(next(iter(form.errors.values()))[0]))
        return redirect(here)
    given = form.cleaned_data
    try:
        with sent_once(token=given["token"], user=request.user) as submission:
            dataset = services.take_in(
                project=project, user=request.user, name=given["name"], split=given["split"]
            )
            submission.location = reverse("dataset", args=[dataset.pk])
    except AlreadySent as sent:
        return redirect(sent.location or here)
    except ServiceError as error:
        messages.error(request, str(error))
        return redirect(here if within == "." else f"{here}?{urlencode({'within': within})}")
    return redirect(submission.location)


urlpatterns = [
    path(
        "projects/<int:project_id>/datasets/server",
        server_folder,
        name="dataset-server-folder",
    ),
]
