"""Which of several running runs goes first, and how much of the workers each gets."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext

from refinement.models import Run
from refinement.services import audit
from refinement.services.errors import ServiceError

Priority = Run.Priority
OPEN = [Run.Status.RUNNING, Run.Status.PAUSED]


def set_priority(*, run: Run, priority: str) -> None:
    """It holds at once. Raises ServiceError for an unknown one, and for a run that is over."""
    if priority not in Priority.values:
        raise ServiceError(gettext("Choose low, normal or high."))
    with transaction.atomic():
        if not Run.objects.filter(pk=run.pk, status__in=OPEN).update(priority=priority):
            raise ServiceError(
                gettext("This run is over: nothing of it is left to be done sooner.")
            )
        audit.record("run.priority_set", run, priority=priority)
    run.priority = priority
