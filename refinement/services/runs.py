"""Steering a run: every change is conditional on the state it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from refinement.models import Run, RunSample, Webhook
from refinement.services import audit, policies, webhooks
from refinement.services.budget import SPENT_NOTICE, check_budget, has_room
from refinement.services.dispatch import wake
from refinement.services.errors import ServiceError

if TYPE_CHECKING:
    from decimal import Decimal


Status, State = Run.Status, RunSample.State


def pause_run(*, run: Run) -> None:
    """Begin nothing new. What is under way is finished and saved."""
    if not _change(run, Status.PAUSED, from_=[Status.RUNNING]):
        raise ServiceError(
            gettext("Only a running run can be paused; this one is %(run)s.")
            % {"run": _status(run)}
        )
    audit.record("run.paused", run)


def resume_run(*, run: Run) -> None:
    with transaction.atomic():
        if not _change(run, Status.RUNNING, from_=[Status.PAUSED], notice=""):
            raise ServiceError(
                gettext("Only a paused run can be resumed; this one is %(run)s.")
                % {"run": _status(run)}
            )
        audit.record("run.resumed", run)
        policies.retry_changes(run=run)
        wake_workers(run.pk)


def cancel_run(*, run: Run) -> None:
    """End a run for good. What it has done so far stays, and can be reviewed and exported."""
    if not _change(
        run,
        Status.CANCELLED,
        from_=[Status.RUNNING, Status.PAUSED],
        finished_at=timezone.now(),
    ):
        raise ServiceError(
            gettext("This run is %(run)s already: there is nothing to cancel.")
            % {"run": _status(run)}
        )
    audit.record("run.cancelled", run)


def set_budget(*, run: Run, tokens: int | None, cost: Decimal | None) -> None:
    """Raise, lower or lift the budget of a run that is not over. It holds from the next question.

    A run that its budget had paused goes on. Raises ServiceError.
    """
    check_budget(tokens=tokens, cost=cost)
    with transaction.atomic():
        open_runs = Run.objects.filter(pk=run.pk, status__in=[Status.RUNNING, Status.PAUSED])
        if not open_runs.update(budget_tokens=tokens, budget_cost=cost):
            raise ServiceError(
                gettext("This run is %(run)s: it needs no budget any more.") % {"run": _status(run)}
            )
        audit.record("run.budget_set", run, tokens=tokens, cost=None if cost is None else str(cost))
        run.refresh_from_db()
        if run.notice.startswith(SPENT_NOTICE) and has_room(run):
            open_runs.update(notice="")
            if run.status == Status.PAUSED:
                resume_run(run=run)
            run.refresh_from_db()


def retry_failed(*, run: Run, run_sample: RunSample | None = None, reason: str = "") -> int:
    """Put failed samples back to work in the stage where they failed.

    All of them, or one, or those that failed for ``reason``.

    A complete run runs again. Returns how many samples that are. Raises ServiceError for a
    cancelled run, and where nothing failed.
    """
    with transaction.atomic():
        # The row's lock keeps the run from being completed between the two changes.
        status = Run.objects.select_for_update().values_list("status", flat=True).get(pk=run.pk)
        if status == Status.CANCELLED:
            raise ServiceError(
                gettext("This run is cancelled: start a new run for what is missing.")
            )
        rows = RunSample.objects.filter(run_id=run.pk, state=State.FAILED)
        if run_sample is not None:
            rows = rows.filter(pk=run_sample.pk)
        if reason:
            rows = rows.filter(error_reason=reason)
        count = rows.update(
            state=State.READY,
            attempts=0,
            not_before=None,
            error_reason="",
            error="",
            updated_at=timezone.now(),
        )
        if not count:
            raise ServiceError(gettext("Nothing to retry: no sample has failed here."))
        _change(run, Status.RUNNING, from_=[Status.COMPLETE], finished_at=None, cut_applied=False)
        audit.record("run.retried", run, samples=count)
        wake_workers(run.pk)
    return count


# -- Called by the pipeline -----------------------------------------------------------------------
def complete_if_finished(*, run_id: int) -> bool:
    """A running run is complete once every sample is done or failed, and its verdicts are final."""
    open_rows = RunSample.objects.filter(run_id=run_id, state__in=[State.READY, State.LEASED])
    if open_rows.exists():
        return False
    running = Run.objects.filter(pk=run_id, status=Status.RUNNING).first()
    if running is None or policies.cut_is_due(run_id=run_id) or policies.is_deriving(running):
        return False
    with transaction.atomic():
        Run.objects.select_for_update().filter(pk=run_id).first()
        if open_rows.all().exists():  # a retry came in between
            return False
        ended = Run.objects.filter(pk=run_id, status=Status.RUNNING).update(
            status=Status.COMPLETE, finished_at=timezone.now(), notice=""
        )
        if ended:
            webhooks.run_happened(Run.objects.get(pk=run_id), Webhook.Event.RUN_FINISHED)
        return bool(ended)


def halt_run(*, run_id: int, notice: str) -> bool:
    """Pause a run that cannot go on without a person, and say why."""
    with transaction.atomic():
        paused = Run.objects.filter(pk=run_id, status=Status.RUNNING).update(
            status=Status.PAUSED, notice=notice
        )
        if paused:
            webhooks.run_happened(Run.objects.get(pk=run_id), Webhook.Event.RUN_PAUSED)
    return bool(paused)


def set_notice(*, run_id: int, notice: str) -> None:
    """What the user should know of a running run; empty: all is well."""
    Run.objects.filter(pk=run_id, status=Status.RUNNING).exclude(notice=notice).update(
        notice=notice
    )


# -- Helpers --------------------------------------------------------------------------------------
def _change(run: Run, status: str, *, from_: list[str], **fields: Any) -> bool:
    """Change the status if it still is one of ``from_``; ``run`` then shows the change."""
    changed = Run.objects.filter(pk=run.pk, status__in=from_).update(status=status, **fields)
    if changed:
        for name, value in {"status": status, **fields}.items():
            setattr(run, name, value)
    return bool(changed)


def _status(run: Run) -> str:
    status = Run.objects.values_list("status", flat=True).get(pk=run.pk)
    return str(Status(status).label).lower()


def wake_workers(run_id: int) -> None:
    """Call a teacher's and a student's worker to the run, once this is committed."""
    wake("refinement.teach", run_id)
    wake("refinement.score", run_id)
