"""Acts on everything that a filter matches: counted and shown first, done in batches, undone whole.

The pairs are gathered once, when the work begins, with the decision that counts for each; a pair
whose decision is another one when its turn comes has been decided by somebody meanwhile and is
left alone. Each batch is one transaction together with the place that was reached, so a worker may
be killed at any moment and the next one goes on there. The undo goes the same way back, and leaves
alone what people decided after the act.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext

from refinement.models import BulkAct, BulkItem, Decision, Membership, Run, RunSample, User
from refinement.selectors.queue import Queue, QueueFilter
from refinement.services import audit
from refinement.services.bulk_effects import DOING, UNDOING
from refinement.services.dispatch import wake
from refinement.services.errors import ServiceError
from refinement.services.leases import Lease, LeaseLost

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)

BATCH = 500
Action, Status = BulkAct.Action, BulkAct.Status


def start_act(
    *,
    run: Run,
    user: User,
    action: str,
    queue: QueueFilter,
    expected: int,
    assignee: User | None = None,
) -> BulkAct:
    """Ask for an act on all pairs of ``queue``; a worker does it.

    ``expected`` is the number that the person was shown. Raises ServiceError where nothing matches,
    or for ``assign`` without somebody who may review.
    """
    if action not in Action.values or action == Action.RESTORE:
        raise ServiceError(gettext("Choose accept, keep the originals, drop, flag or assign."))
    if expected < 1:
        raise ServiceError(gettext("Nothing matches this filter, so there is nothing to act on."))
    details: dict[str, Any] = {}
    if action == Action.ASSIGN:
        _refuse_unfit(run, assignee)
        details = {"assignee": assignee.pk if assignee else None}
    return _begin(run, user, action, queue.as_query(), details, expected)


def restore_run(*, run: Run, user: User, through: Decision) -> BulkAct:
    """Bring all decisions of ``run`` back to what counted once ``through`` had been made."""
    if through.run_id != run.pk:
        raise ServiceError(gettext("That decision belongs to another run."))
    later = Decision.objects.filter(run=run, pk__gt=through.pk)
    expected = later.values("run_sample").distinct().count()
    if not expected:
        raise ServiceError(
            gettext("Nothing was decided after that, so there is nothing to restore.")
        )
    return _begin(run, user, Action.RESTORE, {}, {"decision": through.pk}, expected)


def undo_act(*, act: BulkAct, user: User) -> None:
    """Ask for the undo of an act that is done. Raises ServiceError where it is not."""
    with transaction.atomic():
        changed = BulkAct.objects.filter(pk=act.pk, status=Status.DONE).update(
            status=Status.UNDO_PENDING, through=0, undone_by=user, finished_at=None
        )
        if not changed:
            raise ServiceError(
                gettext("Only an act that is done, and not undone yet, can be undone.")
            )
        audit.record("run.bulk_undone", act.run, user=user, act=act.pk)
        wake("refinement.bulk_act", act.pk)


def perform(*, act_id: int) -> None:
    """Do or undo an act; the worker's task. Does nothing while another worker holds it."""
    for waiting, working, work in (
        (Status.PENDING, Status.WORKING, _do),
        (Status.UNDO_PENDING, Status.UNDOING, _undo),
    ):
        lease = Lease.claim(BulkAct, act_id, waiting=waiting, working=working)
        if lease is not None:
            try:
                work(BulkAct.objects.select_related("run", "user").get(pk=act_id), lease)
            except LeaseLost:
                logger.warning("bulk act %d: another worker has taken it over", act_id)
            return
    logger.info("bulk act %d: done already, or by another worker", act_id)


# -- Beginning ------------------------------------------------------------------------------------
def _begin(
    run: Run,
    user: User,
    action: str,
    query: Mapping[str, str],
    details: dict[str, Any],
    expected: int,
) -> BulkAct:
    with transaction.atomic():
        act = BulkAct.objects.create(
            run=run,
            user=user,
            action=action,
            query=dict(query),
            details=details,
            expected=expected,
        )
        audit.record("run.bulk_asked", run, user=user, act=act.pk, action=action, pairs=expected)
        wake("refinement.bulk_act", act.pk)
    return act


def _refuse_unfit(run: Run, assignee: User | None) -> None:
    roles = [Membership.Role.OWNER, Membership.Role.REVIEWER]
    may = Membership.objects.filter(project=run.project_id, user=assignee, role__in=roles)
    if assignee is None or not may.exists():
        raise ServiceError(gettext("Choose somebody who may review in this project."))


# -- Doing ----------------------------------------------------------------------------------------
def _do(act: BulkAct, lease: Lease) -> None:
    if act.matched is None:
        with transaction.atomic():
            lease.renew(matched=_gather(act))
    while batch := _next_items(act):
        with transaction.atomic():
            rows = _lock([item.run_sample_id for item in batch])
            still = [item for item in batch if rows[item.run_sample_id].decision_id == item.seen_id]
            changed = DOING[Action(act.action)](act, still, rows)
            BulkItem.objects.filter(pk__in=changed).update(changed=True)
            act.through = batch[-1].pk
            lease.renew(
                through=act.through,
                done=F("done") + len(changed),
                skipped=F("skipped") + len(batch) - len(changed),
            )
    lease.finish(status=Status.DONE, finished_at=timezone.now())


def _gather(act: BulkAct) -> int:
    """Write down the pairs, by the database itself; how many."""
    if act.action == Action.RESTORE:
        later = Decision.objects.filter(run=act.run_id, pk__gt=act.details["decision"])
        rows = RunSample.objects.filter(run=act.run_id, pk__in=later.values("run_sample"))
    else:
        queue = QueueFilter.from_query(act.query)
        rows = Queue(act.run, queue).everything()
    found = rows.order_by().values_list("pk", "decision_id")
    try:
        sql, parameters = found.query.sql_with_params()
    except EmptyResultSet:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO refinement_bulkitem (act_id, run_sample_id, seen_id, changed) "  # noqa: S608
            f"SELECT {int(act.pk)}, p.*, (1 = 0) FROM ({sql}) p",
            parameters,
        )
    return BulkItem.objects.filter(act=act).count()


def _next_items(act: BulkAct, wanted: Q | None = None) -> list[BulkItem]:
    items = BulkItem.objects.filter(act=act, pk__gt=act.through).order_by("pk")
    items = items.select_related("decision")
    return list((items.filter(wanted) if wanted else items)[:BATCH])


def _lock(run_sample_ids: list[int]) -> dict[int, RunSample]:
    """In the order of their ids, so that two acts cannot wait for each other."""
    rows = RunSample.objects.select_for_update(no_key=True).filter(pk__in=run_sample_ids)
    return {row.pk: row for row in rows.order_by("pk")}


# -- Undoing --------------------------------------------------------------------------------------
def _undo(act: BulkAct, lease: Lease) -> None:
    while batch := _next_items(act, Q(changed=True)):
        with transaction.atomic():
            rows = _lock([item.run_sample_id for item in batch])
            undone = UNDOING[Action(act.action)](act, batch, rows)
            act.through = batch[-1].pk
            lease.renew(
                through=act.through,
                undone=F("undone") + undone,
                left=F("left") + len(batch) - undone,
            )
    lease.finish(status=Status.UNDONE, finished_at=timezone.now())
