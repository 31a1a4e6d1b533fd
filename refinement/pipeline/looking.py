"""What a teaching loop sees of its run each time it looks up: its status, and its share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Exists, OuterRef
from django.utils import timezone

from refinement.method.specs import TeacherSpec
from refinement.models import Run, RunSample
from refinement.pipeline.claims import TEACHER_STAGES
from refinement.selectors.shares import share_of

# A server that takes few questions at a time shares its speed among them. So that people soon have
# a first pair to look at, a young run begins with a part of what such a server takes.
FEW = range(8, 33)
EARLY_PART = 8
EARLY_SECONDS = 90.0


@dataclass(frozen=True)
class Look:
    """``share``: questions that may be under way at once."""

    running: bool
    notice: str
    share: int
    budgeted: bool = False


def look_at(run: Run) -> Look:
    """The run's status, and its share: running runs on one endpoint divide its concurrency."""
    now = Run.objects.only("status", "notice", "priority", "budget_tokens", "budget_cost").get(
        pk=run.pk
    )
    open_rows = RunSample.objects.filter(
        run_id=OuterRef("pk"),
        stage__in=TEACHER_STAGES,
        state__in=[RunSample.State.READY, RunSample.State.LEASED],
    )
    others = Run.objects.filter(
        Exists(open_rows), teacher_id=run.teacher_id, status=Run.Status.RUNNING
    ).exclude(pk=run.pk)
    ceiling = TeacherSpec.from_dict(run.config["teacher"]).max_concurrency
    if ceiling in FEW and _is_early(run):
        ceiling = ceiling // EARLY_PART + _is_back(run)
    return Look(
        running=now.status == Run.Status.RUNNING,
        notice=now.notice,
        budgeted=now.budget_tokens is not None or now.budget_cost is not None,
        share=share_of(ceiling, now.priority, others.values_list("priority", flat=True)),
    )


def _is_early(run: Run) -> bool:
    """Whether no pair of a young run can be reviewed yet."""
    if timezone.now() - run.created_at > timedelta(seconds=EARLY_SECONDS):
        return False
    done = RunSample.objects.filter(run_id=run.pk, stage=RunSample.Stage.DONE)
    return not done.exists()


def _is_back(run: Run) -> bool:
    """Whether a pair came back from the student: it waits for none that began after it."""
    return RunSample.objects.filter(run_id=run.pk, stage=RunSample.Stage.REFLECT_RESPONSE).exists()
