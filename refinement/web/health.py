"""What machines ask: does the process live, and can the whole service do its work?

Both answer without a login and tell nothing that a stranger should not know.
"""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from refinement.selectors.workers import queues_alive
from refinement.services.dispatch import QUEUES, broker_answers


@login_not_required
@require_safe
@never_cache
def healthz(_request: HttpRequest) -> JsonResponse:
    """The process lives. Asks nobody else: a database that is down is no reason to restart it."""
    return JsonResponse({"status": "ok"})


@login_not_required
@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Database, broker and a worker for every queue answer: 200, else 503 and what is wrong.

    ``?of=web``: what this process needs to serve pages, the database alone. It is for whoever sends
    requests here: a worker that is missing is no reason to show nobody any page.
    """
    problems = _problems(of_web=request.GET.get("of") == "web")
    status = "unavailable" if problems else "ok"
    return JsonResponse({"status": status, "problems": problems}, status=503 if problems else 200)


def _problems(*, of_web: bool) -> list[str]:
    problems = [] if of_web or broker_answers() else ["The broker does not answer."]
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        missing = [] if of_web else sorted(set(QUEUES.values()) - queues_alive())
    except Error:
        return ["The database does not answer.", *problems]
    return problems + [f"No {queue} worker has been seen lately." for queue in missing]


urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
]
