"""The store of teacher replies: looked up and filled for many samples in one go."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.db.models import F, Max, Min

from refinement.method.pairs import TeacherReply
from refinement.method.teacher import cost
from refinement.models import Run, RunSample, TeacherCall, TrialCall
from refinement.pipeline import claims
from refinement.pipeline.grouped import Grouped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from refinement.method.specs import TeacherSpec
    from refinement.models.stored_reply import StoredReply
    from refinement.pipeline.database_thread import DatabaseThread


@dataclass(frozen=True, slots=True)
class Question:
    """One that is about to be asked. ``number``: which attempt at the step, of all."""

    row: RunSample
    step: str
    number: int
    digest: str


@dataclass(frozen=True, slots=True)
class Known:
    """What the store knows of a question: this very reply; a reply to the same question elsewhere.

    ``ours``: the row is still in our hands.
    """

    call: TeacherCall | None
    same: TeacherReply | None
    ours: bool


class Shelf:
    """The store of a run's replies, for the many samples that one loop works on."""

    def __init__(self, run: Run, database: DatabaseThread, *, shared: bool) -> None:
        self.budgeted = False  # whether something may be held back for a reply
        place = (run.project_id, run.teacher_id) if shared else None
        self.discarded = Grouped(database, discarded_attempts)
        self.look: Grouped[Question, Known] = Grouped(database, lambda asked: look_up(asked, place))
        self.store: Grouped[TeacherCall, TeacherCall] = Grouped(
            database, lambda calls: store_replies(run.pk, calls, budgeted=self.budgeted)
        )


def is_ours(row: RunSample) -> bool:
    return claims.ours([row]).exists()


def find_reply(row_id: int, step: str, number: int, digest: str) -> TeacherCall | None:
    return TeacherCall.objects.filter(
        run_sample_id=row_id, step=step, attempt=number, request_hash=digest
    ).first()


def look_up(asked: Sequence[Question], place: tuple[int, int] | None) -> list[Known]:
    """What is known of each question. ``place``: project and teacher to look in for the same one.

    A few queries for all of them.
    """
    held = claims.ours([question.row for question in asked])
    ours = set(held.values_list("pk", flat=True))
    calls = TeacherCall.objects.filter(
        run_sample_id__in=[question.row.pk for question in asked],
        request_hash__in=[question.digest for question in asked],
    )
    own = {(c.run_sample_id, c.step, c.attempt, c.request_hash): c for c in calls}
    mine = [own.get((q.row.pk, q.step, q.number, q.digest)) for q in asked]
    same: dict[str, TeacherReply] = {}
    if place is not None:
        missing = {q.digest for q, call in zip(asked, mine, strict=True) if call is None}
        same = find_stored(*place, missing)
    return [
        Known(call, same.get(question.digest), question.row.pk in ours)
        for question, call in zip(asked, mine, strict=True)
    ]


def find_stored(
    project_id: int, teacher_id: int, digests: Iterable[str]
) -> dict[str, TeacherReply]:
    """What a run or a trial of this project was answered to the same questions by this teacher.

    Of the same endpoint alone: two servers may call different models by one name. A reply that made
    its sample fail is asked for anew.
    """
    wanted = set(digests)
    if not wanted:
        return {}
    calls = TeacherCall.objects.filter(
        request_hash__in=wanted,
        discarded=False,
        run_sample__run__project_id=project_id,
        run_sample__run__teacher_id=teacher_id,
    )
    # A question may have been answered from storage a thousand times: one answer is read.
    firsts = calls.order_by().values("request_hash").annotate(first=Min("pk"))
    ids = [found["first"] for found in firsts]
    replies = (
        {c.request_hash: as_reply(c) for c in TeacherCall.objects.filter(pk__in=ids)} if ids else {}
    )
    tried = TrialCall.objects.filter(
        request_hash__in=wanted - set(replies),
        trial__project_id=project_id,
        trial__teacher_id=teacher_id,
    )
    return {call.request_hash: as_reply(call) for call in tried.order_by("-pk")} | replies


def discarded_attempts(rows: Sequence[RunSample]) -> list[dict[str, int]]:
    """How many attempts at each step were spent in vain before each sample was last retried."""
    found: defaultdict[int, dict[str, int]] = defaultdict(dict)
    calls = TeacherCall.objects.filter(run_sample_id__in=[row.pk for row in rows], discarded=True)
    for row_id, step, last in calls.values_list("run_sample_id", "step").annotate(Max("attempt")):
        found[row_id][step] = last + 1
    return [found[row.pk] for row in rows]


def store_replies(
    run_id: int, calls: Sequence[TeacherCall], *, budgeted: bool
) -> list[TeacherCall]:
    """Store the replies of different samples in one transaction, as ``store_reply`` does each."""
    with transaction.atomic():
        try:
            with transaction.atomic():
                for call in calls:
                    call.pk = None  # set by an earlier try that was rolled back
                TeacherCall.objects.bulk_create(calls)
        except IntegrityError:  # another worker asked the same as one of them
            return [store_reply(run_id, call, budgeted=budgeted) for call in calls]
        _count(run_id, calls, budgeted=budgeted)
    return list(calls)


def store_reply(run_id: int, call: TeacherCall, *, budgeted: bool = True) -> TeacherCall:
    """Store a reply and count what it cost. Storing an answer twice keeps and counts the first.

    ``budgeted``: something was held back for it, which is free again.
    """
    with transaction.atomic():
        try:
            with transaction.atomic():
                call.pk = None  # set by an earlier try that was rolled back
                call.save(force_insert=True)
        except IntegrityError:  # another worker asked the same: its answer came first
            stored = find_reply(call.run_sample_id, call.step, call.attempt, call.request_hash)
            if stored is None:  # the run was deleted meanwhile
                raise
            return stored
        _count(run_id, [call], budgeted=budgeted)
    return call


def _count(run_id: int, calls: Sequence[TeacherCall], *, budgeted: bool) -> None:
    """Add what the stored replies used to the run's totals."""
    paid = [call for call in calls if not call.from_storage]
    if budgeted and paid:
        rows = RunSample.objects.filter(pk__in=[call.run_sample_id for call in paid])
        rows.update(reserved_tokens=0, reserved_cost=0)
    Run.objects.filter(pk=run_id).update(
        teacher_calls=F("teacher_calls") + len(paid),
        prompt_tokens=F("prompt_tokens") + sum(call.prompt_tokens for call in paid),
        completion_tokens=F("completion_tokens") + sum(call.completion_tokens for call in paid),
        cost=F("cost") + sum(Decimal(call.cost) for call in paid),
        stored_answers=F("stored_answers") + len(calls) - len(paid),
    )


def discard_replies(row: RunSample, step: str) -> None:
    """Mark the replies of a step as useless, so that a retry asks anew."""
    TeacherCall.objects.filter(run_sample_id=row.pk, step=step).update(discarded=True)


def stored_fields(
    spec: TeacherSpec, reply: TeacherReply, *, step: str, attempt: int, digest: str, again: bool
) -> dict[str, Any]:
    """The fields of a ``StoredReply``. ``again``: the reply is a copy of one stored before."""
    return {
        "step": step,
        "attempt": attempt,
        "request_hash": digest,
        "model": reply.model,
        "text": reply.text,
        "finish_reason": reply.finish_reason,
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "cost": 0 if again else cost(spec, reply),
        "latency_seconds": reply.latency_seconds,
        "from_storage": again,
    }


def as_reply(call: StoredReply) -> TeacherReply:
    return TeacherReply(
        text=call.text,
        finish_reason=call.finish_reason,
        model=call.model,
        prompt_tokens=call.prompt_tokens,
        completion_tokens=call.completion_tokens,
        latency_seconds=call.latency_seconds,
    )
