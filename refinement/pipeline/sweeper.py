"""The sweeper: repeats every wake-up that got lost, and ends what is finished.

It runs every few seconds, by celery beat. A message lost with a broker, or with a worker that died
before it did the work, so costs no more than that time and a lease.
"""

from __future__ import annotations

import logging
import random

from django.db.models import Q
from django.db.models.functions import Now

from refinement.models import BulkAct, Dataset, Export, Push, Run, Trial, Worker
from refinement.pipeline import claims, webhooks
from refinement.pipeline.heartbeats import forget_dead_workers
from refinement.selectors.shares import WEIGHTS
from refinement.selectors.workers import SWEEPER
from refinement.services import dispatch, policies, runs, token_wishes
from refinement.services.run_counts import fold_counts

logger = logging.getLogger(__name__)

OF_A_RUN = ("refinement.teach", "refinement.score")
MOST_WAITING = 50  # messages in a queue: beyond that its workers have enough to do


def sweep() -> None:
    """One round over everything that may have come to a stop."""
    due: dict[str, list[int]] = {
        "refinement.teach": [],
        "refinement.score": [],
        "refinement.import_dataset": _waiting(Dataset, working=Dataset.Status.IMPORTING),
        "refinement.try_teacher": _waiting(Trial, working=Trial.Status.RUNNING),
        "refinement.write_export": _waiting(Export, working=Export.Status.WRITING),
        "refinement.push_export": _waiting(Push, working=Push.Status.PUSHING),
        "refinement.score_tokens": token_wishes.wishes(),
        "refinement.derive": policies.runs_to_derive(),
        "refinement.deliver_webhook": webhooks.due_deliveries(MOST_WAITING),
        "refinement.bulk_act": _waiting(BulkAct, working=BulkAct.Status.WORKING)
        + _waiting(BulkAct, waiting="undo_due", working=BulkAct.Status.UNDOING),
    }
    running = Run.objects.filter(status=Run.Status.RUNNING)
    priorities = dict(running.values_list("pk", "priority"))
    for run_id in priorities:
        for task in sweep_run(run_id):
            due[task].append(run_id)
    for task, object_ids in due.items():
        random.shuffle(object_ids)  # so that in the long run each gets in
        if task in OF_A_RUN:  # those that matter most come first all the same
            object_ids.sort(key=lambda run_id: -WEIGHTS[Run.Priority(priorities[run_id])])
        _repeat(task, object_ids)
    forget_dead_workers()
    fold_counts()
    Worker.objects.update_or_create(name=SWEEPER, defaults={"seen_at": Now()})


def sweep_run(run_id: int) -> list[str]:
    """Set aside what is hopeless, complete the run if it is finished; else the tasks it needs."""
    if claims.fail_hopeless(run_id):
        logger.warning("run %d: samples were set aside, as their workers keep dying", run_id)
    if runs.complete_if_finished(run_id=run_id):
        return []
    needs = {
        "refinement.teach": claims.TEACHER_STAGES,
        "refinement.score": claims.STUDENT_STAGES,
    }
    tasks = [task for task, stages in needs.items() if claims.has_work(run_id, stages)]
    if not tasks and policies.needs_deriving(run_id=run_id):
        tasks.append("refinement.derive")
    return tasks


def _waiting(
    model: type[BulkAct | Dataset | Export | Push | Trial],
    *,
    waiting: str = "pending",
    working: str,
) -> list[int]:
    """Imports, exports, pushes, trials or bulk acts that nobody has begun, or whose worker died."""
    stuck = Q(status=waiting) | Q(status=working, lease_expires_at__lt=Now())
    return list(model.objects.filter(stuck).values_list("pk", flat=True)[:MOST_WAITING])


def _repeat(task: str, object_ids: list[int]) -> None:
    """Send again, as far as the queue has room."""
    if not object_ids:
        return
    room = MOST_WAITING - dispatch.messages_waiting(task)
    for object_id in object_ids[: max(0, room)]:
        dispatch.wake_now(task, object_id)
