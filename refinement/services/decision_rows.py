"""What every decision does to its pair: the row locked, and its pointer moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refinement.models import RunSample
from refinement.selectors.kept_statements import kept_statement
from refinement.selectors.planned import planned

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from refinement.models import Decision


def lock(run_sample: RunSample) -> RunSample:
    """The row, fresh and locked (SQLite needs no row lock: its write transactions queue).

    Without joins: after waiting for a lock PostgreSQL reads the row anew, but what was joined to
    it as of before the wait. The decision is read by a later statement.
    """
    locked = next(iter(_locked(run_sample.pk)), None)
    if locked is None:
        raise RunSample.DoesNotExist
    return locked


@kept_statement
def _locked(run_sample_id: int) -> QuerySet[RunSample]:
    return RunSample.objects.select_for_update().filter(pk=run_sample_id)


def point(run_sample: RunSample, decision: Decision | None) -> None:
    """Move the pointer alone: a worker may be writing the row's other columns."""
    planned(
        "UPDATE refinement_runsample SET decision_id = %s WHERE id = %s",
        [decision.pk if decision else None, run_sample.pk],
    )
