"""How much of the workers a run gets beside others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from refinement.selectors import access
from refinement.services.errors import ServiceError
from refinement.services.priorities import set_priority

if TYPE_CHECKING:
    from django.http import HttpResponse

    from refinement.web.http import Request


@require_POST
def priority(request: Request, run_id: int) -> HttpResponse:
    run = access.run_for(request.user, run_id, at_least="owner")
    try:
        set_priority(run=run, priority=request.POST.get("priority", ""))
    except ServiceError as error:
        messages.error(request, str(error))
    else:
        words = gettext("The priority of this run is %(priority)s now.")
        messages.success(request, words % {"priority": run.get_priority_display()})
    return redirect("run", run_id)


urlpatterns = [path("runs/<int:run_id>/priority", priority, name="run-priority")]
